"""What callers do to jobs: the same as on the command line, with the caller's name on the record."""

from dataclasses import dataclass

from aicd_backend.callers import TenantCaller
from aicd_core.agents.registry import load_agent
from aicd_core.contracts import CodeHost
from aicd_core.errors import ConflictError, InvalidInputError, NotFoundError
from aicd_core.ids import JobId, RepositoryId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.machine import TERMINAL
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator import Control, Intake, IssueText, Order
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import JSON
from aicd_core.tenancy.repositories.repository import get_source

ISSUE = "The issue"


@dataclass(frozen=True)
class JobRequest:
    """What a caller wants of a new job; `issue` is a text, or the number of an issue on the repository's code host."""

    repository_id: RepositoryId
    issue: str | int
    base_branch: str | None = None
    agent: str | None = None
    priority: int = 0
    time_limit: float | None = None
    cost_limit: int | None = None
    asks_approval: bool = False


async def require_job(here: TenantCaller, job_id: JobId) -> JobView:
    """A job of the organization.

    Raises:
        NotFoundError: `no_such_job`.
    """
    async with here.read() as session:
        job = await jobs.get_job(session, here.tenant, job_id)
    if job is None:
        raise NotFoundError(f"There is no job {job_id} here.", code="no_such_job")
    return job


def control_of(here: TenantCaller) -> Control:
    """Decisions about jobs in the caller's name."""
    return Control(here.stores.parts, here.tenant, _name_of(here))


async def note(here: TenantCaller, action: str, job: JobView, **detail: JSON) -> None:
    """Writes into the audit log what the caller did to a job."""
    async with here.write() as session:
        await record(session, here.tenant, here.actor, action, "job", str(job.id), detail)


async def create(here: TenantCaller, request: JobRequest) -> JobView:
    """A new job, for which a worker is sent.

    Raises:
        NotFoundError: `no_such_repository`, or the issue is not there.
        InvalidInputError: the issue, the branch or the agent cannot be worked with.
        ConflictError: `job_open`: the issue's job is open already; `disabled`: the repository is switched off.
        UnavailableError: the repository cannot be reached.
    """
    async with here.read() as session:
        source = await get_source(session, here.tenant, request.repository_id)
    if source is None:
        raise NotFoundError(f"There is no repository {request.repository_id} here.", code="no_such_repository")
    host = here.stores.parts.hosts.at(source, here.tenant)
    issue = await _issue(here, host, request.issue)
    number = request.issue if isinstance(request.issue, int) else None
    return await _begin(here, source, host, issue, number, request)


async def retry(here: TenantCaller, job_id: JobId) -> JobView:
    """A new job of the same text, on the base branch as it is now, for one that has ended.

    Raises:
        NotFoundError: `no_such_job`.
        ConflictError: `job_open`: it has not ended, or its issue's next job is open already.
    """
    job = await require_job(here, job_id)
    if job.state not in TERMINAL:
        raise ConflictError(f"Job {job_id} is {job.state.value}. Cancel it first, or let it go on.", code="job_open")
    async with here.read() as session:
        source = await get_source(session, here.tenant, job.repository_id)
    assert source is not None, "the database keeps a job's repository"
    request = JobRequest(
        job.repository_id, job.body, job.base_branch, job.agent, job.priority, job.time_limit, job.cost_limit,
        job.asks_approval,
    )  # fmt: skip
    host = here.stores.parts.hosts.at(source, here.tenant)
    return await _begin(here, source, host, IssueText(job.title, job.body), job.issue_number, request, of=job_id)


async def _issue(here: TenantCaller, host: CodeHost, wanted: str | int) -> IssueText:
    most = here.stores.settings.issue_max_bytes
    if isinstance(wanted, str):
        return IssueText.parse(wanted.encode("utf-8", "replace"), max_bytes=most, name=ISSUE)
    desk = getattr(host, "desk", None)
    if desk is None:
        raise InvalidInputError("The repository's code host has no issues. Send the text itself.", code="no_issues")
    found = await desk.issue(wanted)
    if found is None:
        raise NotFoundError(f"The repository has no issue #{wanted}.", code="no_such_issue")
    if not found.open:
        raise InvalidInputError(f"The issue #{wanted} is closed. Reopen it first.", code="issue_closed")
    text = f"{found.title}\n\n{found.body}"
    return IssueText.parse(text.encode("utf-8", "replace"), max_bytes=most, name=ISSUE)


async def _begin(
    here: TenantCaller,
    source: str,
    host: CodeHost,
    issue: IssueText,
    number: int | None,
    request: JobRequest,
    of: JobId | None = None,
) -> JobView:
    settings = here.stores.settings
    load_agent(request.agent or settings.agent)
    base = await host.find_base(request.base_branch)
    again: dict[str, JSON] = {} if of is None else {"retry_of": str(of)}
    order = Order(
        number,
        settings.agent,
        request.time_limit or settings.job_time_limit,
        request.asks_approval,
        {"by": _name_of(here), **again},
        request.agent,
        request.priority,
        request.cost_limit,
    )
    parts = here.stores.parts
    intake = Intake(parts.database, here.tenant, parts.dispatch)
    async with here.write() as session:
        taken = await intake.enter(session, source, base, issue, order)
        if not taken.made:
            raise ConflictError(f"Job {taken.job.id} is open for this issue already.", code="job_open")
        await record(session, here.tenant, here.actor, "job.created", "job", str(taken.job.id), again)
    await intake.send_for(taken)
    return taken.job


def _name_of(here: TenantCaller) -> str:
    return f"{here.actor.kind.value} {here.actor.id}"
