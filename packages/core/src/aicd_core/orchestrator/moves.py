"""Transitions as the orchestrator makes them: guarded, told to whoever watches, followed by a wake where one is due."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from aicd_core.db.database import Database
from aicd_core.db.sessions import WriteSession
from aicd_core.errors import UnavailableError
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.machine import AT_WORK, JobEvent, decide, stop
from aicd_core.jobs.service import require_job
from aicd_core.jobs.values import JobView, Transition
from aicd_core.orchestrator.dispatch import Dispatch, wake_for
from aicd_core.orchestrator.figures import count_move
from aicd_core.orchestrator.lease import Held
from aicd_core.orchestrator.patience import patiently
from aicd_core.orchestrator.progress import Observer, StateChanged
from aicd_core.orchestrator.records import LeaseLostError
from aicd_core.orchestrator.steps.context import StepResult
from aicd_core.tenancy import Tenant

Along = Callable[[WriteSession, JobView], Awaitable[None]]
"""What is written about a job beside a change of it, in one transaction with that."""
GIVES_BACK = frozenset({JobEvent.RETRY_SCHEDULED, JobEvent.HANDED_OVER})
"""Events after which there is work left, for whoever comes next."""


@dataclass(frozen=True)
class Mover:
    """Applies what happened to a job.

    Args:
        patience: seconds that a worker goes on trying while Postgres is away.
    """

    database: Database
    dispatch: Dispatch
    observe: Observer
    patience: float

    async def move(self, held: Held, job: JobView, result: StepResult, *, delay: float | None = None) -> JobView:
        """What a worker found out under its lease; returns the job as it is then.

        Raises:
            LeaseLostError: the job was moved by somebody else.
            UnavailableError: Postgres stayed away.
        """
        status = decide(job.status, result.event)
        keeps = status.state in AT_WORK and result.event not in GIVES_BACK
        worked = held.unbooked()
        change = Transition(
            *(job, result.event, status, result.code, result.reason, result.detail),
            owner=held.owner,
            keep_lease=keeps,
            worked=worked,
            delay=delay,
            wake=self.dispatch.in_statement and not keeps and status.state in AT_WORK,
        )
        held.leaving, held.version = not keeps, job.version + 1
        try:
            moved = await self._insist(held.tenant, change)
        except UnavailableError:
            held.leaving = False
            raise
        if not moved:
            raise LeaseLostError(f"Job {job.id} was moved by somebody else, or has ended.")
        held.booked(worked)
        # The heartbeats have booked, too, what the job as it was read does not show.
        return await self._moved(change, replace(_after(change), seconds_worked=held.seconds_worked()))

    async def push(
        self, tenant: Tenant, job: JobView, result: StepResult, along: Along | None = None, *, way_back: bool = False
    ) -> JobView | None:
        """What somebody decided about a job from outside; None when it moved on at this very moment.

        Args:
            along: what else is written, in the very transaction of the change.
            way_back: what is cancelled here can be resumed.

        Raises:
            IllegalTransitionError: nothing of the kind can happen to the job as it is.
        """
        status = stop(job.status) if way_back else decide(job.status, result.event)
        change = Transition(
            *(job, result.event, status, result.code, result.reason, result.detail),
            wake=self.dispatch.in_statement and status.state in AT_WORK,
        )
        if along is None:
            moved = await jobs.apply_transition(self.database.courier(tenant), tenant, change)
        else:
            async with self.database.write(tenant) as session:
                if moved := await jobs.apply_transition(session, tenant, change):
                    await along(session, job)
        return await self._moved(change, _after(change)) if moved else None

    async def read(self, tenant: Tenant, job_id: JobId) -> JobView:
        """The job as it is now.

        Raises:
            NotFoundError: the tenant has no such job.
        """
        async with self.database.read(tenant) as session:
            return await require_job(session, tenant, job_id)

    async def _insist(self, tenant: Tenant, change: Transition) -> bool:
        """Applies the change, over and over while Postgres is away; one that was committed unheard is found again."""
        tries = 0

        async def once() -> bool:
            nonlocal tries
            tries += 1
            if await jobs.apply_transition(self.database.courier(tenant), tenant, change):
                return True
            return tries > 1 and await self._is_done(tenant, change)

        return await patiently(once, self.patience)

    async def _is_done(self, tenant: Tenant, change: Transition) -> bool:
        async with self.database.read(tenant) as session:
            events = await jobs.list_events(session, tenant, change.job.id)
        return any(event.version == change.job.version + 1 and event.event is change.event for event in events)

    async def _moved(self, change: Transition, now: JobView) -> JobView:
        """The job as it is now, after the change, of which everybody is told."""
        count_move(now, change.event)
        self.observe(StateChanged(now.id, now.state, now.status.round, change.reason))
        if now.state in AT_WORK and not change.keep_lease:
            await self.dispatch.send(now.org_id, now.id, wake_for(now).key, change.delay)
        return now


def _after(change: Transition) -> JobView:
    job, status = change.job, change.status
    return replace(
        job,
        status=status,
        version=job.version + 1,
        code=change.code,
        reason=change.reason,
        seconds_worked=job.seconds_worked + change.worked,
        lease_owner=job.lease_owner if change.keep_lease else None,
        lease_until=job.lease_until if change.keep_lease else None,
    )
