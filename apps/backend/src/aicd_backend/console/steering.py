"""What is done to a job on its page. Each form does what the route of the same name does."""

from uuid import UUID

from starlette.responses import Response

from aicd_backend.callers import Here
from aicd_backend.console.forms import Posted
from aicd_backend.console.job import JOB
from aicd_backend.console.pages import go
from aicd_backend.console.routing import console_router, sees
from aicd_backend.routes.jobs import (
    ApprovalBody,
    CancelBody,
    LimitsBody,
    SendBackBody,
    approve_plan,
    cancel_job,
    resume_job,
    retry_job,
    send_back_plan,
)
from aicd_backend.steering import REASON_MOST
from aicd_core.errors import InvalidInputError
from aicd_core.orchestrator.control import COMMENT_MAX
from aicd_core.tenancy.permissions import Permission

router = console_router()
CANCELLED = "Cancelled in the console."


@router.post(f"{JOB}/cancel", **sees(Permission.JOBS_STEER))
async def cancel(here: Here, job_id: UUID, form: Posted) -> Response:
    reason = (form.text("reason") or CANCELLED)[:REASON_MOST]
    await cancel_job(here, job_id, CancelBody(reason=reason, open_pull_request=form.ticked("open_pull_request")))
    return go(_job(here, job_id), "cancelled")


@router.post(f"{JOB}/approve", **sees(Permission.JOBS_STEER))
async def approve(here: Here, job_id: UUID, form: Posted) -> Response:
    await approve_plan(here, job_id, ApprovalBody(plan_hash=_sized(form.text("plan_hash"), 64, "The plan's hash")))
    return go(_job(here, job_id), "approved")


@router.post(f"{JOB}/send-back", **sees(Permission.JOBS_STEER))
async def send_back(here: Here, job_id: UUID, form: Posted) -> Response:
    comment = _sized(form.text("comment"), COMMENT_MAX, "What the planner should do otherwise")
    await send_back_plan(here, job_id, SendBackBody(comment=comment))
    return go(_job(here, job_id), "sent_back")


@router.post(f"{JOB}/resume", **sees(Permission.JOBS_STEER))
async def resume(here: Here, job_id: UUID, form: Posted) -> Response:
    minutes = form.number("minutes", "The time limit")
    cost = form.money("cost_limit", "The cost limit")
    seconds = None if not minutes else float(minutes * 60)
    limits = LimitsBody(time_limit_seconds=seconds, cost_limit_micro_usd=cost or None)
    await resume_job(here, job_id, limits)
    return go(_job(here, job_id), "resumed")


@router.post(f"{JOB}/retry", **sees(Permission.JOBS_CREATE))
async def retry(here: Here, job_id: UUID, form: Posted) -> Response:  # noqa: ARG001 - its token is checked
    made = await retry_job(here, job_id, Response())
    return go(_job(here, made.id), "retried")


def _job(here: Here, job_id: UUID) -> str:
    return f"/console/{here.place.slug}/jobs/{job_id}"


def _sized(text: str, most: int, what: str) -> str:
    if not 1 <= len(text) <= most:
        raise InvalidInputError(f"{what} is a text of 1 to {most:,} characters.", code="bad_text")
    return text
