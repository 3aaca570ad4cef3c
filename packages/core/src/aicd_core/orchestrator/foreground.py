"""Working on one's own jobs in the foreground: `aicd run`."""

import asyncio
from collections import deque

from aicd_core.contracts import Wake, WakeHandler
from aicd_core.jobs.leases.values import Taken
from aicd_core.jobs.machine import AT_WORK, TERMINAL
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator.admission import Admission
from aicd_core.orchestrator.control import Control
from aicd_core.orchestrator.engine import Engine
from aicd_core.orchestrator.lease import LeaseKeeper
from aicd_core.orchestrator.moves import Mover
from aicd_core.orchestrator.owners import is_gone
from aicd_core.orchestrator.ports import Parts
from aicd_core.orchestrator.progress import Message, StateChanged
from aicd_core.orchestrator.records import LeaseLostError

FOLLOW_SECONDS = 0.5
PATIENCE = 10.0
"""Seconds that a run goes on trying while Postgres is away."""


class ForegroundQueue:
    """A `Queue` in memory, run until it is empty. Losing it loses no job: the jobs are in Postgres."""

    def __init__(self) -> None:
        self._waiting: deque[Wake] = deque()
        self._stopped = False

    async def add(self, wake: Wake, *, delay: float = 0.0) -> None:
        """Whoever waits in front of it wants the work at once, whatever the delay."""
        del delay
        if all(waiting.key != wake.key for waiting in self._waiting):
            self._waiting.append(wake)

    async def run(self, handler: WakeHandler) -> None:
        while self._waiting and not self._stopped:
            await handler(self._waiting.popleft())

    async def stop(self) -> None:
        self._stopped = True


class Foreground:
    """Drives the jobs that its person asked for."""

    def __init__(self, parts: Parts, control: Control) -> None:
        self._parts = parts
        self._control = control
        self._mover = Mover(parts.database, parts.dispatch, parts.observe, PATIENCE)
        self._keeper = LeaseKeeper(parts.system)
        self._admission = Admission(parts.system)
        self._engine = Engine(parts, self._keeper, self._mover)

    async def handle(self, wake: Wake, *, when_stopped: str | None = None) -> None:
        """Works on the job until it waits for somebody or has ended.

        While another live worker holds it, follows that one, and takes over if it dies.

        Args:
            when_stopped: cancelling this call while it holds the job cancels the job, for this reason. None leaves the
                job to whoever resumes it; so does cancelling a call that only follows.

        Raises:
            AicdError: something outside of the job is wrong (database, disk); the job can be resumed.
        """
        taken = await self._take(await self._mover.read(self._control.tenant, wake.job_id))
        if taken is None:
            return
        try:
            await self._keeper.hold(taken, self._engine.work)
        except LeaseLostError:
            if (await self._mover.read(taken.tenant, taken.job.id)).state not in TERMINAL:
                raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if when_stopped is None or task is None:
                raise
            task.uncancel()
            await self._control.cancel(taken.job.id, when_stopped)

    async def _take(self, job: JobView) -> Taken | None:
        """Waits for the lease or for the end of the work."""
        told = ""
        while job.state in AT_WORK:
            dead = [job.lease_owner] if job.lease_owner and is_gone(job.lease_owner) else []
            taken = await self._admission.take_job(job.id, dead)
            if taken is not None:
                if taken.job.version != job.version:
                    self._parts.observe(StateChanged(job.id, taken.job.state, taken.job.status.round))
                return taken
            now = await self._mover.read(self._control.tenant, job.id)
            if now.version != job.version:
                self._parts.observe(StateChanged(now.id, now.state, now.status.round, now.reason))
            told = self._tell(now, told)
            job = now
            await asyncio.sleep(FOLLOW_SECONDS)
        return None

    def _tell(self, job: JobView, told: str) -> str:
        """Says once why this process does not work on the job."""
        if job.state not in AT_WORK:
            return told
        held = job.lease_owner is not None
        now = (
            f"another process works on this job ({job.lease_owner}); following it"
            if held
            else (
                "waiting: the organization has as many jobs at work as it may have, or the repository is switched off"
            )
        )
        if now != told:
            self._parts.observe(Message(job.id, now))
        return now
