"""Holding jobs: one worker at a time, kept by a heartbeat, lost when its holder is gone (design §4)."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context
from typing import Any, TypeVar

from aicd_core.db.database import SystemDatabase
from aicd_core.errors import UnavailableError
from aicd_core.ids import JobId
from aicd_core.jobs.leases import repository as leases
from aicd_core.jobs.leases.values import Renewal, Taken
from aicd_core.orchestrator.records import LeaseLostError
from aicd_core.telemetry.metrics import LEASES_HELD

LEASE_SECONDS = 15.0
HEARTBEAT_SECONDS = 3.0

ResultT = TypeVar("ResultT")
_log = logging.getLogger(__name__)


class Held:
    """One lease that this process holds, and the work that is done under it."""

    def __init__(self, taken: Taken) -> None:
        self.taken = taken
        self.job_id, self.owner, self.tenant = taken.job.id, taken.owner, taken.tenant
        self.leaving = False
        """The lease is just being given back by a transition, or was."""
        self.lost = False
        self.version = taken.job.version
        """Up to which the job's changes are this worker's own, or about to be: its own transition is under way."""
        self.task: asyncio.Future[Any] | None = None
        self._began = self._booked = self._renewed = time.monotonic()

    def seconds_worked(self) -> float:
        """Of the job as a whole up to now, booked or not."""
        return self.taken.job.seconds_worked + time.monotonic() - self._began

    def unbooked(self) -> float:
        """Seconds worked that are not on the job yet."""
        return time.monotonic() - self._booked

    def booked(self, seconds: float) -> None:
        self._booked += seconds

    def renewed(self) -> None:
        self._renewed = time.monotonic()

    def is_fresh(self) -> bool:
        """Whether nobody else can have the job, by this machine's clock, which also a stopped process's sleep moves."""
        return not self.lost and time.monotonic() - self._renewed < LEASE_SECONDS

    def lose(self) -> None:
        """Ends the work: somebody else has the job, or it has ended."""
        self.lost = True
        if self.task is not None:
            self.task.cancel()


class LeaseKeeper:
    """All leases of one process, prolonged together in one statement."""

    def __init__(self, system: SystemDatabase) -> None:
        self._system = system
        self._held: dict[str, Held] = {}
        self._by_job: dict[JobId, Held] = {}
        self._beating: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    async def hold(self, taken: Taken, work: Callable[[Held], Awaitable[ResultT]]) -> ResultT:
        """Runs `work` under a lease that was just taken, and gives the lease back.

        Raises:
            LeaseLostError: the lease was lost; the work was cancelled and has ended.
        """
        held = Held(taken)
        working = asyncio.ensure_future(work(held))
        held.task = working
        self._held[held.owner] = self._by_job[held.job_id] = held
        self._begin_to_beat()
        try:
            with LEASES_HELD.track_inprogress():
                return await working
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if held.lost and not (task and task.cancelling()):
                raise LeaseLostError(f"Job {held.job_id} was taken over by another worker, or has ended.") from None
            raise
        finally:
            await end(working)
            del self._held[held.owner]
            if self._by_job.get(held.job_id) is held:
                del self._by_job[held.job_id]
            await asyncio.shield(self._release(held))

    def look_at(self, job_id: JobId, version: int) -> None:
        """A job came to a version: if it is held here, and it was not moved from here, finds out at once what of it.

        A version that a transition under way would make may be somebody else's all the same; then the transition
        itself finds out.
        """
        held = self._by_job.get(job_id)
        if held is not None and version > held.version:
            self._hurry.set()

    async def confirm(self, held: Held) -> None:
        """Makes sure that the job is still ours before something is done that a database cannot take back.

        Raises:
            LeaseLostError: it is not.
            UnavailableError: Postgres cannot be asked.
        """
        if not held.is_fresh():
            await self._renew([held])
        if held.lost:
            raise LeaseLostError(f"Job {held.job_id} was taken over by another worker, or has ended.")

    async def _release(self, held: Held) -> None:
        if held.leaving or held.lost:
            return
        with suppress(UnavailableError):  # it will run out
            await leases.release(self._system.courier(), Renewal(held.job_id, held.owner, held.unbooked()))

    def _begin_to_beat(self) -> None:
        if self._beating is None or self._beating.done():
            # In a context of its own: what it logs is about no single job.
            self._beating = asyncio.create_task(self._beat(), name="heartbeat", context=Context())

    async def _beat(self) -> None:
        """While Postgres is away nobody can take a job over, so nothing is given up; no error ends it."""
        while self._held:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), HEARTBEAT_SECONDS)
            self._hurry.clear()
            try:
                await self._renew([held for held in self._held.values() if not held.leaving])
            except UnavailableError:
                continue
            except Exception:  # noqa: BLE001 # it comes again; without it every lease would run out
                _log.exception("the leases could not be renewed")

    async def _renew(self, held: list[Held]) -> None:
        asked = {one.owner: Renewal(one.job_id, one.owner, one.unbooked()) for one in held}
        kept = await leases.renew(self._system.courier(), list(asked.values()), LEASE_SECONDS) if asked else frozenset()
        for one in held:
            if one.owner in kept:
                one.booked(asked[one.owner].worked)
                one.renewed()
            elif not one.leaving:
                one.lose()


async def end(task: asyncio.Future[ResultT]) -> None:
    """Cancels a task and waits until it has ended, also when cancelled meanwhile; raises nothing that the task did."""
    task.cancel()
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
    if not task.cancelled():
        task.exception()
    if cancelled:
        raise asyncio.CancelledError
