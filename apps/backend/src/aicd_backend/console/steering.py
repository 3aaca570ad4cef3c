"""What is done to a job on its page. Each form does what the route of the same name does."""

from uuid import UUID

from starlette.responses import Response

from aicd_backend.callers import Here
from aicd_backend.console.forms import Posted, body_of
from aicd_backend.console.job import JOB
from aicd_backend.console.pages import at, go
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
from aicd_core.tenancy.permissions import Permission

router = console_router()
CANCELLED = "Cancelled in the console."


@router.post(f"{JOB}/cancel", **sees(Permission.JOBS_STEER))
async def cancel(here: Here, job_id: UUID, form: Posted) -> Response:
    reason = (form.text("reason") or CANCELLED)[:REASON_MOST]
    await cancel_job(
        here, job_id, body_of(CancelBody, reason=reason, open_pull_request=form.ticked("open_pull_request"))
    )
    return go(at(here, "jobs", job_id), "cancelled")


@router.post(f"{JOB}/approve", **sees(Permission.JOBS_STEER))
async def approve(here: Here, job_id: UUID, form: Posted) -> Response:
    await approve_plan(here, job_id, body_of(ApprovalBody, plan_hash=form.text("plan_hash")))
    return go(at(here, "jobs", job_id), "approved")


@router.post(f"{JOB}/send-back", **sees(Permission.JOBS_STEER))
async def send_back(here: Here, job_id: UUID, form: Posted) -> Response:
    await send_back_plan(here, job_id, body_of(SendBackBody, comment=form.text("comment")))
    return go(at(here, "jobs", job_id), "sent_back")


@router.post(f"{JOB}/resume", **sees(Permission.JOBS_STEER))
async def resume(here: Here, job_id: UUID, form: Posted) -> Response:
    minutes = form.number("minutes", "The time limit")
    cost = form.money("cost_limit", "The cost limit")
    seconds = None if minutes is None else float(minutes * 60)
    limits = body_of(LimitsBody, time_limit_seconds=seconds, cost_limit_micro_usd=cost)
    await resume_job(here, job_id, limits)
    return go(at(here, "jobs", job_id), "resumed")


@router.post(f"{JOB}/retry", **sees(Permission.JOBS_CREATE))
async def retry(here: Here, job_id: UUID, form: Posted) -> Response:  # noqa: ARG001 - its token is checked
    made = await retry_job(here, job_id, Response())
    return go(at(here, "jobs", made.id), "retried")
