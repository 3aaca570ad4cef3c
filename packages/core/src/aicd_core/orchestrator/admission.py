"""Taking work: fair between organizations, within the limit of each (design §4)."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from aicd_core.db.database import SystemDatabase
from aicd_core.errors import UnavailableError
from aicd_core.ids import JobId
from aicd_core.jobs.leases import repository as leases
from aicd_core.jobs.leases.values import Demand, Renewal, Taken
from aicd_core.orchestrator.lease import LEASE_SECONDS
from aicd_core.orchestrator.owners import OwnerNames


class Admission:
    """Asks for jobs on behalf of one process; those who ask at the same time share a statement."""

    def __init__(self, system: SystemDatabase) -> None:
        self._system = system
        self._names = OwnerNames()
        self._waiting: list[asyncio.Future[Taken | None]] = []
        self._asking: asyncio.Task[None] | None = None

    async def take(self) -> Taken | None:
        """The next job that is ready, its lease taken; None when there is none within its organization's limit.

        Raises:
            UnavailableError: Postgres cannot be asked. A lease that was taken all the same runs out.
        """
        answer: asyncio.Future[Taken | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="admission")
        return await answer

    async def take_job(self, job_id: JobId, dead: Sequence[str] = ()) -> Taken | None:
        """This very job, also before its time; None while somebody holds it or its organization is at its limit.

        Args:
            dead: holders known to be gone.
        """
        given = await self._take(Demand([self._names.new()], LEASE_SECONDS, only=job_id, dead=dead))
        return given[0] if given else None

    async def _ask(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # lets everybody who is about to ask do so
            asking, self._waiting = self._waiting, []
            try:
                given = await self._take(Demand([self._names.new() for _ in asking], LEASE_SECONDS))
            except Exception as error:  # noqa: BLE001 # it is raised to those who asked
                for answer in asking:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for answer in asking:
                if not answer.done():
                    answer.set_result(given.pop(0) if given else None)
            await self._give_back(given)

    async def _give_back(self, unwanted: Sequence[Taken]) -> None:
        """Of whoever asked and was stopped meanwhile."""
        for taken in unwanted:
            with suppress(UnavailableError):  # it will run out
                await leases.release(self._system.courier(), Renewal(taken.job.id, taken.owner, 0.0))

    async def _take(self, demand: Demand) -> list[Taken]:
        return await leases.take(self._system.courier(), demand)
