"""A job's page: how it is, what it plans, what happened, what it cost."""

from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.answers import JobAnswer
from aicd_backend.callers import Here, TenantCaller
from aicd_backend.console.pages import page
from aicd_backend.console.results import history, if_there, log_from
from aicd_backend.console.routing import console_router, sees
from aicd_backend.routes.billing import KeeperHere, PlansHere
from aicd_backend.routes.job_results import (
    CostAnswer,
    get_evidence,
    get_job_cost,
    get_job_usage,
    get_plan,
    get_policy_report,
    get_pull_request,
    list_reviews,
)
from aicd_backend.routes.jobs import get_job
from aicd_backend.steering import require_job
from aicd_core.ids import JobId, RepositoryId
from aicd_core.jobs.machine import TERMINAL
from aicd_core.tenancy.permissions import Permission
from aicd_core.tenancy.repositories.service import require_repository
from aicd_core.usage.repository import list_entries

router = console_router()
JOB = "/console/{org}/jobs/{job_id}"
STOP_ASKING = 286
"""Status by which htmx knows that figures grow no more (https://htmx.org/docs/#polling)."""
CALLS_MOST = 200
"""Calls of models that are listed, the newest."""


@router.get(JOB, **sees(Permission.JOBS_READ))
async def show_job(request: Request, here: Here, job_id: UUID, plans: PlansHere, keeper: KeeperHere) -> Response:
    job = await get_job(here, job_id)
    plan = await if_there(get_plan(here, job_id, plans, keeper))
    return await job_page(
        *(request, here, "job.html", "overview", job),
        plan=plan.plan if plan else None,
        plan_hash=plan.hash if plan else "",
        price=plan.price if plan else None,
        events=await history(here, job_id),
        pull=await if_there(get_pull_request(here, job_id)),
        issue=await _issue(here, JobId(job_id)),
    )


@router.get(f"{JOB}/review", **sees(Permission.JOBS_READ))
async def show_review(request: Request, here: Here, job_id: UUID) -> Response:
    job = await get_job(here, job_id)
    return await job_page(
        *(request, here, "job_review.html", "review", job),
        reviews=await list_reviews(here, job_id),
        report=await if_there(get_policy_report(here, job_id)),
        has_evidence=await if_there(get_evidence(here, job_id)) is not None,
    )


@router.get(f"{JOB}/usage", **sees(Permission.JOBS_READ))
async def show_usage(request: Request, here: Here, job_id: UUID) -> Response:
    """The figures alone, as they grow."""
    job = await get_job(here, job_id)
    status = STOP_ASKING if job.state in TERMINAL else 200
    usage, cost = await get_job_usage(here, job_id), await cost_of(request, here, job_id)
    return page(request, "job_usage.html", status, job=job, usage=usage, charged=cost)


@router.get(f"{JOB}/calls", **sees(Permission.JOBS_READ))
async def show_calls(request: Request, here: Here, job_id: UUID) -> Response:
    """Each call of a model that was paid for, as it is booked."""
    job = await get_job(here, job_id)
    async with here.read() as session:
        entries = await list_entries(session, here.tenant, JobId(job_id))
    return await job_page(
        *(request, here, "job_calls.html", "calls", job),
        status=STOP_ASKING if job.state in TERMINAL and "HX-Request" in request.headers else 200,
        calls=[(_name(entry.key), entry.usage) for entry in entries[-CALLS_MOST:]],
        left_out=max(0, len(entries) - CALLS_MOST),
    )


@router.get(f"{JOB}/log", **sees(Permission.JOBS_READ))
async def show_job_log(request: Request, here: Here, job_id: UUID, cursor: str | None = None) -> Response:
    """What was said and run. A script that asks with the cursor of the last line gets what has come since."""
    job = await get_job(here, job_id)
    lines, more = await log_from(here, job_id, cursor)
    last = lines[-1].cursor if lines else cursor or ""
    shown: dict[str, Any] = {"lines": lines, "more": more, "cursor": last}
    if "HX-Request" in request.headers:
        return page(request, "job_lines.html", job=job, **shown)
    return await job_page(request, here, "job_said.html", "log", job, later=cursor is not None, **shown)


async def job_page(
    request: Request, here: TenantCaller, template: str, tab: str, job: JobAnswer, status: int = 200, **given: Any
) -> Response:
    """A page in a job's frame, which shows where its repository is and what it cost."""
    async with here.read() as session:
        source = (await require_repository(session, here.tenant, RepositoryId(job.repository_id))).source
    usage, cost = await get_job_usage(here, job.id), await cost_of(request, here, job.id)
    return page(request, template, status, tab=tab, job=job, source=source, usage=usage, charged=cost, **given)


async def cost_of(request: Request, here: TenantCaller, job_id: UUID) -> CostAnswer | None:
    """What the organization was charged for a job; None where nothing is charged at all."""
    return await get_job_cost(here, job_id) if request.app.state.billing else None


def _name(key: str) -> str:
    """`code/1, call 4` of `call/code/1/3/HASH`; other entries as they are."""
    parts = key.split("/")
    return f"{'/'.join(parts[1:-2])}, call {int(parts[-2]) + 1}" if parts[0] == "call" and len(parts) >= 4 else key


async def _issue(here: TenantCaller, job_id: JobId) -> str:
    return (await require_job(here, job_id)).body
