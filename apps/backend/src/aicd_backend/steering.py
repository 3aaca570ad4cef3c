"""What callers do to jobs: the same as on the command line, with the caller's name on the record."""

from dataclasses import dataclass

from aicd_backend.callers import TenantCaller
from aicd_backend.problems import RefusedError
from aicd_core.agents.registry import load_agent
from aicd_core.contracts import CodeHost
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.errors import ConflictError, InvalidInputError, NotFoundError
from aicd_core.ids import JobId, RepositoryId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.machine import TERMINAL, JobState
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator import Control, Intake, IssueText, Order
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import JSON
from aicd_core.tenancy.repositories.service import require_repository, require_spelled
from aicd_core.text import require_text
from aicd_github.hub.address import checked_api, parse_issue

ISSUE = "The issue"
REASON_MOST = 500
"""Characters of why a job is cancelled."""


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
    job = await jobs.get_job(here.stores.database.courier(here.tenant), here.tenant, job_id)
    if job is None:
        raise NotFoundError(f"There is no job {job_id} here.", code="no_such_job")
    return job


def control_of(here: TenantCaller, action: str, **detail: JSON) -> Control:
    """A decision about a job in the caller's name, with its entry in the audit log: both are written, or neither."""

    async def note(session: WriteSession, job: JobView) -> None:
        await record(session, here.tenant, here.actor, action, "job", str(job.id), detail)

    return Control(here.stores.parts, here.tenant, _name_of(here), along=note)


async def cancel(here: TenantCaller, job_id: JobId, reason: str, *, open_pull_request: bool) -> JobView:
    """The job, cancelled, or as it is when it has ended before.

    Raises:
        NotFoundError: `no_such_job`.
        InvalidInputError: the reason cannot be kept.
        ConflictError: `pull_request_open`, and nothing was said of that.
    """
    require_text(reason, "The reason", most=REASON_MOST, least=1)
    before = await require_job(here, job_id)
    if before.state in TERMINAL:
        return before
    control = control_of(here, "job.cancelled", reason=reason)
    job = await control.cancel(job_id, reason, open_pull_request=open_pull_request)
    if job.state is JobState.PR_OPEN:
        raise ConflictError(
            f"The pull request of job {job_id} is open. Close it, or send open_pull_request.", code="pull_request_open"
        )
    return job


async def create(here: TenantCaller, request: JobRequest) -> JobView:
    """A new job, for which a worker is sent.

    Raises:
        NotFoundError: `no_such_repository`, or the issue is not there.
        InvalidInputError: the issue, the branch or the agent cannot be worked with.
        RefusedError: 409 `job_open`: the issue's job is open already.
        ConflictError: `disabled` or `disconnected`: the repository is out of use.
        ForbiddenError: no installation of the organization's covers the repository.
        UnavailableError: the repository cannot be reached.
        StoppedError: no work, or no further pull request, is to be had for the organization now.
    """
    async with here.read() as session:
        source = await _in_use(session, here, request.repository_id)
    host = here.stores.parts.hosts.at(source, here.tenant)
    issue = await _issue(here, host, request.issue)
    number = request.issue if isinstance(request.issue, int) else None
    return await _begin(here, source, host, issue, number, request)


async def find_issue(here: TenantCaller, name: str) -> tuple[RepositoryId, int]:
    """The repository, which is the organization's, and the number of an issue that is named `OWNER/REPO#N`.

    Raises:
        InvalidInputError: `bad_issue_name`.
        NotFoundError: `no_such_repository`.
    """
    address, number = parse_issue(checked_api(here.stores.settings.github_api_url), name)
    async with here.read() as session:
        found = await require_spelled(session, here.tenant, (address.page, address.clone_url))
    return found.id, number


async def retry(here: TenantCaller, job_id: JobId) -> JobView:
    """A new job of the same text, on the base branch as it is now, for one that has ended.

    Raises:
        NotFoundError: `no_such_job`.
        RefusedError: 409 `job_open`: it has not ended, or its issue's next job is open already.
        AicdError: as `create`.
    """
    job = await require_job(here, job_id)
    if job.state not in TERMINAL:
        raise _is_open(job_id, f"Job {job_id} is {job.state.value}. Cancel it first, or let it go on.")
    async with here.read() as session:
        source = await _in_use(session, here, job.repository_id)
    request = JobRequest(
        job.repository_id, job.body, job.base_branch, job.agent, job.priority, job.time_limit, job.cost_limit,
        job.asks_approval,
    )  # fmt: skip
    host = here.stores.parts.hosts.at(source, here.tenant)
    return await _begin(here, source, host, IssueText(job.title, job.body), job.issue_number, request, of=job_id)


async def _in_use(session: ReadSession, here: TenantCaller, repository_id: RepositoryId) -> str:
    """The repository's source. Only who may edit repositories takes one into use again, which a new job would do."""
    found = await require_repository(session, here.tenant, repository_id)
    if found.disconnected_at is not None:
        raise ConflictError(f"The repository {found.source} is disconnected. Reconnect it first.", code="disconnected")
    return found.source


def _is_open(job_id: JobId, detail: str) -> RefusedError:
    return RefusedError(409, "job_open", detail, job_id=job_id)


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
        await _in_use(session, here, request.repository_id)
        taken = await intake.enter(session, source, base, issue, order)
        if not taken.made:
            raise _is_open(taken.job.id, f"Job {taken.job.id} is open for this issue already.")
        await record(session, here.tenant, here.actor, "job.created", "job", str(taken.job.id), again)
    await intake.send_for(taken)
    return taken.job


def _name_of(here: TenantCaller) -> str:
    return f"{here.actor.kind.value} {here.actor.id}"
