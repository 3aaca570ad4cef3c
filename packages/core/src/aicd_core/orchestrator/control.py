"""What people, and the code host on their behalf, do to a job from outside."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aicd_core.contracts import CodeHost, Plan
from aicd_core.db.pages import PageRequest
from aicd_core.db.sessions import WriteSession
from aicd_core.errors import AicdError, ConflictError, InvalidInputError, StoppedError
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.artifacts import repository as artifacts
from aicd_core.jobs.machine import AT_WORK, TERMINAL, JobEvent, JobState
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator.clearing import clear_away
from aicd_core.orchestrator.moves import Along, Mover
from aicd_core.orchestrator.ports import Parts
from aicd_core.orchestrator.progress import Message
from aicd_core.orchestrator.records import is_let_go
from aicd_core.orchestrator.standing import require_standing
from aicd_core.orchestrator.steps.context import StepResult
from aicd_core.orchestrator.telling import tell
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.repositories import repository as repositories
from aicd_core.tenancy.standings.repository import find_standing
from aicd_core.tenancy.standings.values import Why

JOURNAL_GONE = "journal_gone"
"""The code of a job that was stopped too long ago to be taken up again."""
COMMENT_MAX = 10_000
"""Characters of a comment that sends a plan back."""


@dataclass(frozen=True)
class Control:
    """Decisions about the jobs of one tenant. `by` and `origin` say on the job's record whose, and where from.

    Args:
        along: what else is written of a decision, an audit entry, in the very transaction that carries it out.
    """

    parts: Parts
    tenant: Tenant
    by: str
    origin: Mapping[str, Any] = field(default_factory=dict)
    along: Along | None = None

    async def cancel(self, job_id: JobId, reason: str, *, open_pull_request: bool = False) -> JobView:
        """Ends a job in any open state; its worker stops, and no branch is left unless a pull request stands on it.

        Whatever cannot be cleared away (the repository is gone, say) is told to the observer.

        Args:
            open_pull_request: cancels a job also whose pull request is open, which then stays as it is.

        Returns:
            the job, cancelled; or as it is, when it has ended already or its pull request is to stay followed.

        Raises:
            NotFoundError: the tenant has no such job.
        """
        ended = TERMINAL if open_pull_request else TERMINAL | {JobState.PR_OPEN}
        while (job := await self._job(job_id)).state not in ended:
            if (now := await self._end(job, JobEvent.CANCELLED, "cancelled", reason)) is not None:
                return now
        return job

    async def conclude(self, job_id: JobId, event: JobEvent, reason: str) -> JobView:
        """Ends a job, as MERGED or CLOSED, whose pull request a person has decided about; its worker stops.

        Returns:
            the job, ended, by this or before.

        Raises:
            NotFoundError: the tenant has no such job.
            IllegalTransitionError: it cannot have a pull request yet.
        """
        while (job := await self._job(job_id)).state not in TERMINAL:
            if (now := await self._end(job, event, event.value, reason)) is not None:
                return now
        return job

    async def _end(
        self, job: JobView, event: JobEvent, code: str, reason: str, *, way_back: bool = False
    ) -> JobView | None:
        """The job, ended and cleared away; None when it moved on at this very moment."""
        result = StepResult(event, code, reason, self._detail())
        now = await self._mover.push(self.tenant, job, result, self.along, way_back=way_back)
        if now is not None:
            await self._clear_away(now)
            await self.tell(now)
        return now

    async def tell(self, job: JobView) -> None:
        """Has the job's issue say how it is now."""
        await tell(self.parts.database, await self._host(job), job, self.parts.observe)

    async def approve(self, job_id: JobId, plan_hash: str | None = None) -> JobView:
        """Lets a job go on whose plan waits for a person.

        Args:
            plan_hash: hash (or the first 12 characters or more of it) of the plan that was looked at; None: whichever
                waits now.

        Raises:
            ConflictError: another plan waits by now, the job moved on, or no plan of it waits.
            StoppedError: no work is done for the organization now.
        """
        await self._require_standing()
        job = await self._job(job_id)
        waiting = await self._plan_hash(job)
        if plan_hash is not None and (len(plan_hash) < 12 or not waiting.startswith(plan_hash)):
            raise ConflictError(
                f"The plan that waits has the hash {waiting}, not {plan_hash}. Look at it, with `aicd show "
                f"{job_id}` or as the job's `plan` in the API, then approve that one.",
                code="other_plan",
            )
        detail = self._detail(plan_hash=waiting)
        return await self._push(job, StepResult(JobEvent.APPROVED, detail=detail))

    async def send_back(self, job_id: JobId, comment: str) -> JobView:
        """Has the plan made anew; the comment goes to the planner.

        Raises:
            InvalidInputError: nothing is said, or too much.
            ConflictError: no plan of the job waits.
            StoppedError: no work is done for the organization now.
        """
        if not comment.strip() or len(comment) > COMMENT_MAX or "\x00" in comment:
            raise InvalidInputError(
                f"A plan is sent back with a comment of 1 to {COMMENT_MAX:,} characters that says what to do otherwise."
            )
        await self._require_standing()
        job = await self._job(job_id)
        detail = self._detail(comment=comment, plan_hash=await self._plan_hash(job))
        return await self._push(job, StepResult(JobEvent.SENT_BACK, "sent_back", comment, detail))

    async def resume(self, job_id: JobId, *, time_limit: float | None = None, cost_limit: int | None = None) -> JobView:
        """Takes a paused job back to the state that it left, its limits raised: in seconds at work, in micro-USD.

        So too a job that was stopped; what it paid for then is in its journal.

        Raises:
            ConflictError: the job is neither paused nor stopped; of one that was stopped, its issue has another job
                by now (`job_open`), or its journal is let go of (`JOURNAL_GONE`).
            StoppedError: no work is done for the organization now, or it may have no more pull requests.
        """
        await self._require_standing()
        job = await self._job(job_id)

        async def raised(session: WriteSession, job: JobView) -> None:
            await jobs.raise_limits(session, self.tenant, job.id, time_limit, cost_limit)
            if job.status.is_stopped:
                await require_standing(session, self.tenant)
            if self.along is not None:
                await self.along(session, job)

        if job.status.is_stopped:
            await self._require_way_back(job)
        return await self._push(job, StepResult(JobEvent.RESUMED, detail=self._detail()), raised)

    async def _require_way_back(self, job: JobView) -> None:
        async with self.parts.database.read(self.tenant) as session:
            other = await jobs.find_rival(session, self.tenant, job.id)
            is_gone = await is_let_go(session, self.tenant, job.id)
        if other is not None:
            raise ConflictError(f"Job {other} is open for the same issue by now. End that one first.", code="job_open")
        if is_gone:
            raise ConflictError(
                f"Job {job.id} ended so long ago that its journal is let go of. Retry it: that begins a new job.",
                code=JOURNAL_GONE,
            )

    async def resume_those_at(self, limits: Collection[str]) -> list[JobView]:
        """Takes back every job that is paused for one of these codes; one that still does not fit pauses again."""
        resumed, page = [], PageRequest()
        while True:
            async with self.parts.database.read(self.tenant) as session:
                found = await jobs.list_jobs(session, self.tenant, page, state=JobState.PAUSED)
            for job in (job for job in found.items if job.code in limits):
                with suppress(ConflictError, StoppedError):  # somebody else did it first, or it stands still again
                    resumed.append(await self.resume(job.id))
            if found.next_cursor is None:
                return resumed
            page = PageRequest(cursor=found.next_cursor)

    async def stop_all(self, why: Why, *, ends: bool) -> list[JobView]:
        """Has no worker do anything any more; the jobs that there was something to do for, whose issues say why.

        Args:
            ends: a job that was begun ends, as `cancelled`; it can be resumed all the same. Else it is paused, as in
                any case one that only waits, and one whose pull request is open, which lives as long as that.
        """
        stopped = []
        for state in sorted(AT_WORK):
            page: PageRequest | None = PageRequest()
            while page is not None:
                async with self.parts.database.read(self.tenant) as session:
                    found = await jobs.list_jobs(session, self.tenant, page, state=state)
                stopped += [now for job in found.items if (now := await self._stop(job, why, ends=ends)) is not None]
                page = PageRequest(cursor=found.next_cursor) if found.next_cursor else None
        return stopped

    async def _stop(self, job: JobView, why: Why, *, ends: bool) -> JobView | None:
        """The job, stopped; None when it moved on at this very moment, and whoever looks again finds it."""
        if ends and job.state is not JobState.QUEUED and not job.status.is_published:
            return await self._end(job, JobEvent.CANCELLED, why.code, why.reason, way_back=True)
        result = StepResult(JobEvent.LIMIT_REACHED, why.code, why.reason, self._detail())
        now = await self._mover.push(self.tenant, job, result)
        if now is not None:
            await self.tell(now)
        return now

    async def tidy(self, leftovers: Iterable[JobId]) -> None:
        """Clears away what jobs left on this machine that ended while their process was away.

        The work tree of a job that waits for somebody goes, too; it is laid again when it goes on. What cannot be
        cleared away is told, and stands in the way of nothing else.
        """
        for job_id in leftovers:
            async with self.parts.database.read(self.tenant) as session:
                job = await jobs.get_job(session, self.tenant, job_id)
            if job is not None and job.state in TERMINAL:
                await self._clear_away(job)
            elif job is not None and job.state not in AT_WORK:
                await self._leave_tree(job)

    def _detail(self, **more: Any) -> dict[str, Any]:
        return {"by": self.by, **self.origin, **more}

    @property
    def _mover(self) -> Mover:
        return Mover(self.parts.database, self.parts.dispatch, self.parts.observe, patience=0)

    async def _require_standing(self) -> None:
        async with self.parts.database.read(self.tenant) as session:
            standing = await find_standing(session, self.tenant)
        if standing is not None and standing.stopped is not None:
            raise standing.stopped.error()

    async def _push(self, job: JobView, result: StepResult, along: Along | None = None) -> JobView:
        now = await self._mover.push(self.tenant, job, result, along or self.along)
        if now is None:
            raise ConflictError(f"Job {job.id} moved on at this very moment. Look at it again: aicd show {job.id}")
        return now

    async def _plan_hash(self, job: JobView) -> str:
        """The hash of the plan that waits; '' when there is none, which the transition then refuses."""
        async with self.parts.database.read(self.tenant) as session:
            content = await artifacts.get_artifact(session, self.tenant, job.id, ArtifactKind.PLAN)
        return Plan.model_validate_json(content).structure_hash() if content else ""

    async def _clear_away(self, job: JobView) -> None:
        host = await self._host(job)
        await clear_away(host, job.id, self.parts.observe)

    async def _leave_tree(self, job: JobView) -> None:
        """Removes the tree of a job that waits, unless somebody took it up meanwhile."""
        host = await self._host(job)
        try:
            async with host.hold(job.id):
                if (await self._job(job.id)).state not in AT_WORK:
                    await host.close(job.id)
        except AicdError as error:
            self.parts.observe(Message(job.id, f"the work tree is left for later: {error}"))

    async def _host(self, job: JobView) -> CodeHost:
        async with self.parts.database.read(self.tenant) as session:
            source = await repositories.get_source(session, self.tenant, job.repository_id)
        assert source is not None, "the database keeps a job's repository"
        return self.parts.hosts.at(source, self.tenant)

    async def _job(self, job_id: JobId) -> JobView:
        return await self._mover.read(self.tenant, job_id)
