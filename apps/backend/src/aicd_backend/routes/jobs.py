"""Jobs: made, listed, looked at, steered."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Response
from pydantic import AwareDatetime, ConfigDict, Field

from aicd_backend import steering
from aicd_backend.access import needs, secured_router
from aicd_backend.answers import JobAnswer
from aicd_backend.bodies import Body
from aicd_backend.callers import Here, TenantCaller
from aicd_backend.paging import PageOf, PageQuery, page_of
from aicd_core.errors import InvalidInputError
from aicd_core.ids import JobId, RepositoryId
from aicd_core.jobs.lists.repository import find_jobs
from aicd_core.jobs.lists.values import JobFilter, JobOrder
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator.control import COMMENT_MAX
from aicd_core.tenancy.organizations.service import MAX_BUDGET
from aicd_core.tenancy.permissions import Permission

router = secured_router("jobs")
JOBS = "/organizations/{org}/jobs"
JOB = f"{JOBS}/{{job_id}}"
CANCELLED = "Cancelled through the API."
MOST_SECONDS = 30 * 86400
PRIORITY = 100
NUMBER = 2**31 - 1
NAME_MOST = 300
"""Characters of an issue's address."""

Cost = Annotated[int | None, Field(gt=0, le=MAX_BUDGET)]
Seconds = Annotated[float | None, Field(ge=1, le=MOST_SECONDS)]


class NewJobBody(Body):
    """A job to be made, of one issue: `issue_name`; or `repository_id`, and either `issue` or `issue_number`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"repository_id": "01999999-0000-7000-8000-000000000000", "issue": "Greet whoever calls, by name."},
                {"repository_id": "01999999-0000-7000-8000-000000000000", "issue_number": 12},
                {"issue_name": "acme/shop#12"},
            ]
        }
    )

    repository_id: UUID | None = Field(default=None, strict=False)
    issue: str | None = Field(default=None, description="The text; its first line is the title.")
    issue_number: int | None = Field(
        default=None, gt=0, le=NUMBER, description="Of an issue of the repository on its code host."
    )
    issue_name: str | None = Field(
        default=None,
        max_length=NAME_MOST,
        description="An issue on GitHub, `OWNER/REPO#N` or its page's address, of a repository that is connected.",
    )
    base_branch: str | None = Field(default=None, max_length=255, description="Null: the repository's default branch.")
    agent: str | None = Field(default=None, max_length=100, description="Null: the organization's.")
    priority: int = Field(default=0, ge=-PRIORITY, le=PRIORITY, description="A higher one goes first.")
    time_limit_seconds: Seconds = Field(default=None, description="At work; null: the installation's.")
    cost_limit_micro_usd: Cost = Field(default=None, description="Can only be less than what a job may cost here.")
    asks_approval: bool = Field(default=False, description="A person approves the plan before it is carried out.")

    async def request(self, here: TenantCaller) -> steering.JobRequest:
        """As it is asked for; raises InvalidInputError: `one_issue`, and as `steering.find_issue`."""
        given = [value for value in (self.issue, self.issue_number, self.issue_name) if value is not None]
        if len(given) != 1 or (self.repository_id is None) == (self.issue_name is None):
            raise InvalidInputError(
                "Give issue_name alone, or repository_id with either issue or issue_number.", code="one_issue"
            )
        wanted: str | int = given[0]
        if self.repository_id is not None:
            repository_id = RepositoryId(self.repository_id)
        else:
            repository_id, wanted = await steering.find_issue(here, str(wanted))
        return steering.JobRequest(
            repository_id,
            wanted,
            self.base_branch,
            self.agent,
            self.priority,
            self.time_limit_seconds,
            self.cost_limit_micro_usd,
            self.asks_approval,
        )


class CancelBody(Body):
    """How a job is cancelled."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "No longer wanted."}]})

    reason: str = Field(default=CANCELLED, min_length=1, max_length=steering.REASON_MOST)
    open_pull_request: bool = Field(
        default=False, description="Cancel it although its pull request is open, which then stays as it is."
    )


class ApprovalBody(Body):
    """Which plan is approved."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"plan_hash": "a" * 64}]})

    plan_hash: str = Field(
        min_length=12, max_length=64, description="`hash` of the plan that was looked at, or its first 12 characters."
    )


class SendBackBody(Body):
    """What is wrong with a plan."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"comment": "Leave the public names as they are."}]})

    comment: str = Field(min_length=1, max_length=COMMENT_MAX)


class LimitsBody(Body):
    """New limits; one that is lower than before, or left out, changes nothing."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"cost_limit_micro_usd": 5_000_000}]})

    time_limit_seconds: Seconds = None
    cost_limit_micro_usd: Cost = None


_MAKES = needs(Permission.JOBS_CREATE, once=True, refuses=(400, 402, 503))
_STEERS = needs(Permission.JOBS_STEER, refuses=(400, 402, 409))


async def _filter(
    state: Annotated[list[JobState], Query(description="Any of these.")] = [],  # noqa: B006 - FastAPI copies it
    agent: Annotated[list[str], Query(max_length=20)] = [],  # noqa: B006
    repository_id: Annotated[UUID | None, Query()] = None,
    issue_number: Annotated[int | None, Query(gt=0, le=NUMBER)] = None,
    title: Annotated[str | None, Query(max_length=200, description="Words that stand in the title.")] = None,
    created_from: Annotated[AwareDatetime | None, Query()] = None,
    created_before: Annotated[AwareDatetime | None, Query()] = None,
    sort: Annotated[
        JobOrder,
        Query(description="By change, a job that changes meanwhile goes to the end of the list, or its front."),
    ] = JobOrder.NEWEST,
) -> JobFilter:
    return JobFilter(
        states=tuple(state),
        repository_id=None if repository_id is None else RepositoryId(repository_id),
        agents=tuple(agent),
        issue_number=issue_number,
        words=title,
        created_from=created_from,
        created_before=created_before,
        order=sort,
    )


@router.get(JOBS, summary="Jobs, the newest first", **needs(Permission.JOBS_READ, refuses=(400,)))
async def list_jobs(here: Here, page: PageQuery, wanted: Annotated[JobFilter, Depends(_filter)]) -> PageOf[JobAnswer]:
    async with here.read() as session:
        return page_of(await find_jobs(session, here.tenant, page, wanted), JobAnswer.of)


@router.post(JOBS, status_code=201, summary="Make a job", **_MAKES)
async def create_job(here: Here, new: NewJobBody, response: Response) -> JobAnswer:
    return _made(here, response, JobAnswer.of(await steering.create(here, await new.request(here))))


@router.get(JOB, summary="One job", **needs(Permission.JOBS_READ))
async def get_job(here: Here, job_id: UUID) -> JobAnswer:
    return JobAnswer.of(await steering.require_job(here, JobId(job_id)))


@router.post(f"{JOB}/cancel", summary="End it", **_STEERS)
async def cancel_job(here: Here, job_id: UUID, how: CancelBody) -> JobAnswer:
    """Its worker stops, and no branch is left unless a pull request stands on it. One that has ended stays so."""
    await steering.cancel(here, JobId(job_id), how.reason, open_pull_request=how.open_pull_request)
    return await get_job(here, job_id)


@router.post(f"{JOB}/retry", status_code=201, summary="Begin anew what has ended", **_MAKES)
async def retry_job(here: Here, job_id: UUID, response: Response) -> JobAnswer:
    """A new job of the same text, on the base branch as it is now."""
    return _made(here, response, JobAnswer.of(await steering.retry(here, JobId(job_id))))


@router.post(f"{JOB}/plan/approve", summary="Let its plan be carried out", **_STEERS)
async def approve_plan(here: Here, job_id: UUID, which: ApprovalBody) -> JobAnswer:
    control = steering.control_of(here, "job.approved", plan_hash=which.plan_hash)
    await control.approve(JobId(job_id), which.plan_hash)
    return await get_job(here, job_id)


@router.post(f"{JOB}/plan/send-back", summary="Have its plan made anew", **_STEERS)
async def send_back_plan(here: Here, job_id: UUID, what: SendBackBody) -> JobAnswer:
    control = steering.control_of(here, "job.sent_back", comment=what.comment)
    await control.send_back(JobId(job_id), what.comment)
    return await get_job(here, job_id)


@router.post(f"{JOB}/resume", summary="Let a paused or stopped job go on, its limits raised", **_STEERS)
async def resume_job(here: Here, job_id: UUID, limits: LimitsBody) -> JobAnswer:
    control = steering.control_of(here, "job.resumed", **limits.model_dump(exclude_none=True))
    await control.resume(JobId(job_id), time_limit=limits.time_limit_seconds, cost_limit=limits.cost_limit_micro_usd)
    return await get_job(here, job_id)


def _made(here: Here, response: Response, job: JobAnswer) -> JobAnswer:
    response.headers["Location"] = f"/v1/organizations/{here.place.slug}/jobs/{job.id}"
    return job
