"""A process that works on the jobs of all tenants (design §4)."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from structlog.contextvars import bound_contextvars

from aicd_core.contracts import Queue, Scheduler, Wake
from aicd_core.deliveries.service import DeliveryWorker
from aicd_core.errors import AicdError, UnavailableError
from aicd_core.ids import JobId
from aicd_core.jobs.leases import repository as leases
from aicd_core.jobs.leases.values import Taken
from aicd_core.jobs.machine import AT_WORK
from aicd_core.orchestrator.admission import Admission
from aicd_core.orchestrator.chores import chores_of, free_dead_leases
from aicd_core.orchestrator.control import Control
from aicd_core.orchestrator.engine import Engine
from aicd_core.orchestrator.lease import Held, LeaseKeeper, end
from aicd_core.orchestrator.moves import Mover
from aicd_core.orchestrator.notices import watch_jobs
from aicd_core.orchestrator.ports import Parts
from aicd_core.orchestrator.records import LeaseLostError
from aicd_core.telemetry.metrics import LEASES_LOST
from aicd_core.tenancy import Tenant

PATIENCE = 600.0
"""Seconds that work in hand waits for Postgres to come back."""
HOUSEKEEPING_SECONDS = 5.0
PAUSE_SECONDS = 1.0
"""Before the next attempt when Postgres or the queue is away."""
ENDING_SECONDS = 5.0
"""For handing over what was cut off."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker works.

    Args:
        drain_timeout: seconds that steps at work have to end once the process is to stop; then they are cut off, and
            their jobs handed over.
        jobs: whether it takes jobs.
        chores: whether it takes its turn at chores: sweeps and retention.
        deliveries: whether it handles what came in from code hosts.
    """

    drain_timeout: float = 60.0
    jobs: bool = True
    chores: bool = True
    deliveries: bool = True


class Worker:
    """Takes jobs whenever the queue wakes it, and goes on taking them while there are any.

    Args:
        leftovers: the jobs that have a work tree on this machine.
    """

    def __init__(
        self,
        parts: Parts,
        queue: Queue,
        scheduler: Scheduler,
        deliveries: DeliveryWorker,
        options: WorkerOptions,
        leftovers: Callable[[], Sequence[JobId]] = tuple,
    ) -> None:
        self._parts = parts
        self._queue = queue
        self._scheduler = scheduler
        self._deliveries = deliveries
        self._options = options
        self._leftovers = leftovers
        self._stopping = asyncio.Event()
        self._keeper = LeaseKeeper(parts.system)
        self._admission = Admission(parts.system)
        mover = Mover(parts.database, parts.dispatch, parts.observe, PATIENCE)
        self._engine = Engine(parts, self._keeper, mover, retries=True, draining=self._stopping.is_set)

    async def run(self) -> None:
        """Works until `stop` is called and the steps at work have ended, or were cut off and handed over."""
        served = self._begin()
        stopping: asyncio.Task[Any] = asyncio.create_task(self._stopping.wait())
        background: list[asyncio.Task[Any]] = [
            stopping,
            *(asyncio.create_task(each) for each in (self._housekeep(), self._listen())),
        ]
        try:
            await asyncio.wait({stopping, *served}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                await self._drain(served)
            for task in served:
                if task.done():
                    task.result()  # what no waiting mends is an error
        finally:
            self._stopping.set()
            for task in (*served, *background):
                await end(task)

    async def _drain(self, served: list[asyncio.Task[None]]) -> None:
        _log.info("draining: %g s for the steps at work", self._options.drain_timeout)
        await self._queue.stop()
        await self._scheduler.stop()
        await self._deliveries.stop()
        _, late = await asyncio.wait(served, timeout=self._options.drain_timeout)
        if late:
            _log.warning("%g s are over: what is at work is cut off and handed over", self._options.drain_timeout)

    def stop(self) -> None:
        """Takes no more jobs and lets `run` come to its end."""
        self._stopping.set()

    def _begin(self) -> list[asyncio.Task[None]]:
        served = []
        if self._options.jobs:
            served.append(asyncio.create_task(self._queue.run(self.handle), name="jobs"))
        if self._options.chores:
            chores = chores_of(self._parts, self._deliveries.sweep)
            served.append(asyncio.create_task(self._scheduler.run(chores), name="chores"))
        if self._options.deliveries:
            served.append(asyncio.create_task(self._deliveries.run(), name="deliveries"))
        return served

    async def handle(self, _: Wake) -> None:
        """Takes jobs until none is ready, not only the one that the wake is about: fairness decides which."""
        while not self._stopping.is_set():
            try:
                taken = await self._admission.take()
            except UnavailableError as error:
                _log.warning("no job can be taken, waiting: %s", error)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if taken is None:
                return
            await self._work(taken)

    async def _work(self, taken: Taken) -> None:
        """Works on one job; whatever goes wrong with it stays with it."""
        with bound_contextvars(job=str(taken.job.id), org=str(taken.job.org_id)):
            try:
                await self._keeper.hold(taken, self._work_or_hand_over)
            except LeaseLostError as error:
                LEASES_LOST.inc()
                _log.info("%s", error)
            except Exception:  # noqa: BLE001 # one job's trouble is no other's
                # Not even its failure could be written down: the lease runs out, and another worker takes it.
                _log.exception("job %s was left behind", taken.job.id)

    async def _work_or_hand_over(self, held: Held) -> None:
        try:
            await self._engine.work(held)
        except asyncio.CancelledError:
            if not held.lost:
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(self._hand_over(held)), ENDING_SECONDS)
            raise

    async def _hand_over(self, held: Held) -> None:
        """Gives back what was cut off; where the job is by now is in the database."""
        with suppress(AicdError):
            job = await self._engine.mover.read(held.tenant, held.job_id)
            if job.lease_owner == held.owner and job.state in AT_WORK:
                await self._engine.hand_over(held, job)

    async def _listen(self) -> None:
        """Hears of cancellations at once; without this, the next heartbeat would find out."""
        await watch_jobs(self._parts.system, self._keeper.look_at)

    async def _housekeep(self) -> None:
        """What only this machine can do: noticing its dead processes, and clearing away what they left."""
        tidied = 0.0
        while True:
            await self._try(lambda: free_dead_leases(self._parts.system))
            if time.monotonic() - tidied > HOUSEKEEPING_SECONDS * 12 or not tidied:
                await self._try(self._tidy)
                tidied = time.monotonic()
            await asyncio.sleep(HOUSEKEEPING_SECONDS)

    async def _try(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except UnavailableError as error:
            _log.warning("housekeeping waits: %s", error)
        except Exception:  # noqa: BLE001 # it comes again
            _log.exception("housekeeping failed")

    async def _tidy(self) -> None:
        for org_id, job_id in await leases.list_tenants_of(self._parts.system.courier(), self._leftovers()):
            await Control(self._parts, Tenant(org_id), "worker").tidy([job_id])
