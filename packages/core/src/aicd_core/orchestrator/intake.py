"""From an issue's text to a queued job: at most one open job for each issue."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from aicd_core.contracts import Base, CodeHost
from aicd_core.db.database import Database
from aicd_core.db.sessions import Courier, WriteSession
from aicd_core.errors import ConflictError, InvalidInputError
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.machine import JobEvent, JobState, decide
from aicd_core.jobs.values import JobView, NewJob, Transition
from aicd_core.orchestrator.dispatch import NOBODY, Dispatch, wake_for
from aicd_core.orchestrator.owners import is_gone
from aicd_core.orchestrator.standing import require_standing
from aicd_core.telemetry.tracing import JOB, ORG, span, traceparent
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.organizations.repository import get_settings
from aicd_core.tenancy.repositories.service import take_up
from aicd_core.text import one_line

HEADING = re.compile(r"^#{1,6}(?:\s+|$)")
"""The marks of a Markdown heading; `#123` is not one."""
INTAKE = Actor(ActorKind.SYSTEM, "intake")
SUPERSEDED = "A new job for the same issue was asked for."


@dataclass(frozen=True)
class IssueText:
    """An issue as it came in, checked: a title of one line and the whole text."""

    title: str
    body: str

    @classmethod
    def parse(cls, raw: bytes, *, max_bytes: int, name: str) -> "IssueText":
        """Takes the first line with words in it as the title; the body is the whole text, unchanged.

        Args:
            name: what the text is called in errors, for example its file's name.

        Raises:
            InvalidInputError: too large, not UTF-8, empty, or with a NUL character in it.
        """
        if len(raw) > max_bytes:
            raise InvalidInputError(
                f"{name} has more than the {max_bytes:,} bytes that are taken. Shorten it, or split the work "
                "into several issues (the limit is AICD_ISSUE_MAX_BYTES).",
                code="issue_too_large",
            )
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise InvalidInputError(
                f"{name} is not valid UTF-8: byte 0x{raw[error.start]:02x} on line {line} (offset {error.start}). "
                "Save it as UTF-8 and try again.",
                code="issue_not_utf8",
            ) from error
        if "\x00" in text:
            line = text.count("\n", 0, text.index("\x00")) + 1
            raise InvalidInputError(
                f"{name} holds a NUL character on line {line}; an issue is text. Remove it and try again.",
                code="issue_has_nul",
            )
        title = next((line for line in map(_as_title, text.split("\n")) if line), "")
        if not text.strip():
            raise InvalidInputError(
                f"{name} is empty. Say in its first line what is wanted, and in the rest how.",
                code="issue_empty",
            )
        return cls(title or "A change", text)


def _as_title(line: str) -> str:
    """A line as a title: without a heading's marks; nothing for a blank line or the fence of a code block."""
    words = HEADING.sub("", one_line(line))
    return "" if words.startswith(("```", "~~~")) else words


@dataclass(frozen=True)
class Order:
    """What is asked for besides the text.

    Args:
        number: the issue's on its code host; None for a text that stands for itself.
        agent: the one of organizations that never chose any.
        time_limit: seconds at work.
        asks_approval: a person is to see the plan first.
        origin: who asked, and by what, for the job's record.
        wanted: the agent for this job, whatever the organization chose.
        priority: among the organization's jobs; a higher one goes first.
        cost_limit: in micro-USD; it can only be less than what the organization allows a job.
    """

    number: int | None
    agent: str
    time_limit: float
    asks_approval: bool
    origin: Mapping[str, Any]
    wanted: str | None = None
    priority: int = 0
    cost_limit: int | None = None


@dataclass(frozen=True)
class DirectOrder:
    """What is asked for besides the text where one process takes an issue up, and nobody chose for it beforehand.

    Args:
        agent: who plans, codes and reviews.
        time_limit: seconds at work.
        base: the branch to start from; None for the one that the repository starts from.
        anew: end an unfinished job of the same issue first.
        priority: among the organization's jobs; a higher one goes first.
        number: the issue's on its code host; None for a text that stands for itself.
    """

    agent: str
    time_limit: float
    base: str | None = None
    anew: bool = False
    priority: int = 0
    number: int | None = None


@dataclass(frozen=True)
class Taken:
    """The job of a request; `made` is False when it was there already."""

    job: JobView
    made: bool


@dataclass(frozen=True)
class Intake:
    """Makes jobs for one tenant."""

    database: Database
    tenant: Tenant
    dispatch: Dispatch = NOBODY

    async def take(self, source: str, host: CodeHost, issue: IssueText, order: DirectOrder) -> Taken:
        """The open job of this issue, or a new one, for which a worker is sent.

        An issue with a number on its code host is known by that: however it is edited meanwhile, its job goes on as
        it was begun. A larger time limit raises that of the job found here. With `order.anew`, it is cancelled first
        (closed, if its pull request is open), and a fresh one is made.

        Raises:
            ConflictError: `anew` was asked for while another process works on the unfinished job; or `other_job`: the
                issue's open job is of another agent or base branch.
        """
        start = await host.resolve_base(order.base)
        async with self.database.write(self.tenant) as session:
            repository_id = await take_up(session, self.tenant, INTAKE, source)
            budget = (await get_settings(session, self.tenant)).values.job_budget
        new = NewJob(
            *(repository_id, order.agent, issue.title, issue.body, start.branch, start.sha, order.time_limit),
            *(order.priority, budget, order.number),
        )
        found = await self._find(new)
        if found and order.anew:
            await self._end(found, host)
            found = None
        if found is None:
            made = await self._make(new)
            if made is not None:
                return made
            found = await self._find(new)
        if found is None:
            raise ConflictError("The job for this issue ended at this very moment. Run the command again.")
        return await self._join(found, new)

    async def begin(self, source: str, start: Base, issue: IssueText, order: Order) -> Taken:
        """The open job of an issue, or a new one, for which a worker is sent; made in one transaction.

        Raises:
            ConflictError: the repository is switched off, or the organization is deleted.
            StoppedError: no work, or no further pull request, is to be had for the organization now.
        """
        async with self.database.write(self.tenant) as session:
            taken = await self.enter(session, source, start, issue, order)
        await self.send_for(taken)
        return taken

    async def enter(self, session: WriteSession, source: str, start: Base, issue: IssueText, order: Order) -> Taken:
        """As `begin`, in a transaction of the caller's, who calls `send_for` when that is committed."""
        repository_id = await take_up(session, self.tenant, INTAKE, source)
        settings = await get_settings(session, self.tenant)
        agent = order.wanted or (settings.values.agent if settings.revision else order.agent)
        limits = [limit for limit in (settings.values.job_budget, order.cost_limit) if limit is not None]
        new = NewJob(
            *(repository_id, agent, issue.title, issue.body, start.branch, start.sha, order.time_limit),
            priority=order.priority,
            cost_limit=min(limits, default=None),
            issue_number=order.number,
            asks_approval=order.asks_approval,
            origin=order.origin,
        )
        made = await self._insert(session, new)
        job = await jobs.find_open(session, self.tenant, repository_id, new.issue_key)
        if job is None:
            raise ConflictError("The job of this issue ended at this very moment. Ask once more.")
        if made is not None:
            await require_standing(session, self.tenant)
        return Taken(job, made=made is not None)

    async def send_for(self, taken: Taken) -> None:
        """Sends a worker to a job that was just made."""
        if taken.made:
            await self.dispatch.send(taken.job.org_id, taken.job.id, wake_for(taken.job).key)

    async def get(self, job_id: JobId) -> JobView:
        """One job that is known to exist."""
        async with self.database.read(self.tenant) as session:
            job = await jobs.get_job(session, self.tenant, job_id)
        assert job is not None, "jobs are never deleted while a process works with them"
        return job

    async def _find(self, new: NewJob) -> JobView | None:
        async with self.database.read(self.tenant) as session:
            return await jobs.find_open(session, self.tenant, new.repository_id, new.issue_key)

    async def _make(self, new: NewJob) -> Taken | None:
        """The new job, for which a worker is sent; None when there is an open one for its issue."""
        courier = self.database.courier(self.tenant)
        made = await self._insert(courier, new)
        if made is None:
            return None
        taken = Taken(await self.get(made), made=True)
        await self.send_for(taken)
        return taken

    async def _insert(self, session: WriteSession | Courier, new: NewJob) -> JobId | None:
        with span("intake", {ORG: str(self.tenant.org_id)}) as told:
            traced = replace(new, traceparent=traceparent())
            made = await jobs.insert_job(session, self.tenant, traced, wake=self.dispatch.in_statement)
            if made is not None:
                told.set_attribute(JOB, str(made))
        return made

    async def _join(self, found: JobView, new: NewJob) -> Taken:
        """The open job that was found where a new one was asked for, with the larger of their time limits."""
        _require_same(found, new)
        if new.time_limit > found.time_limit:
            async with self.database.write(self.tenant) as session:
                await jobs.raise_limits(session, self.tenant, found.id, new.time_limit, None)
        return Taken(await self.get(found.id), made=False)

    async def _end(self, job: JobView, host: CodeHost) -> None:
        held = job.lease_until is not None and job.lease_until > datetime.now(UTC)
        if held and job.lease_owner and not is_gone(job.lease_owner):
            raise ConflictError(
                f"Job {job.id} for this issue is being worked on right now. Stop that process first, or leave "
                "--new out to follow it.",
                code="job_busy",
            )
        event = JobEvent.CLOSED if job.state is JobState.PR_OPEN else JobEvent.CANCELLED
        change = Transition(job, event, decide(job.status, event), code="superseded", reason=SUPERSEDED)
        async with self.database.write(self.tenant) as session:
            if not await jobs.apply_transition(session, self.tenant, change):
                raise ConflictError(f"Job {job.id} moved on at this very moment. Run the command again.")
        await host.withdraw(job.id)
        await host.close(job.id)


def _require_same(found: JobView, new: NewJob) -> None:
    """Raises ConflictError: an issue that is known by its number has a job of another agent or base branch."""
    if (found.agent, found.base_branch) != (new.agent, new.base_branch):
        raise ConflictError(
            f"Job {found.id} is open for this issue, with the agent {found.agent} on {found.base_branch}. Name those, "
            "or end that job and start again with --new.",
            code="other_job",
        )
