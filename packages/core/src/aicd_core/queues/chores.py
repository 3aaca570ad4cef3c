"""Chores by the clock on BullMQ's job schedulers: each runs on one of the machines."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence

from aicd_core.contracts import Chore
from aicd_core.errors import InvalidInputError
from aicd_core.queues.adapter import Broker, Data, Producer
from aicd_core.queues.consumer import Check, Consumer
from aicd_core.queues.handling import HandlingError, contained
from aicd_core.queues.options import CHORES, HANDLERS_PER_WORKER

SHORTEST = 1.0
"""Seconds between two runs of a chore, at least: that often does a worker look for delayed entries."""
LOOK_EVERY = 5.0
"""Seconds between two looks at whether every chore is still scheduled: Redis can have lost them all."""
OVERDUE = 60.0
"""Seconds past its time, over and above its interval, after which a chore is scheduled anew."""

log = logging.getLogger(__name__)


class ChoreScheduler:
    """A `Scheduler` on BullMQ; `run` may be called once."""

    def __init__(self, broker: Broker, check: Check) -> None:
        self._broker = broker
        self._check = check
        self._chores: Mapping[str, Chore] = {}
        self._consumer = Consumer(broker, CHORES, self._process, HANDLERS_PER_WORKER[broker.backend])

    async def run(self, chores: Sequence[Chore]) -> None:
        """As `Scheduler.run`; waits for a database or Redis that is down.

        Raises:
            ConflictError: the queue's schema in Postgres is not the one that this code works with.
            InvalidInputError: as `Scheduler.run`.
        """
        self._chores = by_name(chores)
        keeping = asyncio.ensure_future(self._keep_scheduled())
        try:
            await self._consumer.run(self._check)
        finally:
            keeping.cancel()
            await asyncio.wait({keeping})

    async def stop(self) -> None:
        """As `Scheduler.stop`."""
        self._consumer.stop()

    async def _process(self, name: str, _data: Data) -> None:
        chore = self._chores.get(name)
        if chore is None:
            # A machine with newer code may have it.
            raise HandlingError("no such chore on this machine")
        try:
            await contained(chore.call, f"chore {name}")
        except HandlingError:
            return  # it is in the log, and the next time comes

    async def _keep_scheduled(self) -> None:
        """Schedules what is not scheduled, now and whenever it was lost."""
        producer = Producer(self._broker, CHORES)
        known = False
        try:
            while True:
                try:
                    await self._schedule(producer, drop_others=not known)
                    known = True
                except Exception as error:  # noqa: BLE001 - connections end in many ways, and all are waited out
                    log.warning("the chores cannot be scheduled (%s: %s)", type(error).__name__, error)
                await asyncio.sleep(LOOK_EVERY)
        finally:
            await producer.close()

    async def _schedule(self, producer: Producer, *, drop_others: bool) -> None:
        now = int(time.time() * 1000)
        found = await producer.schedules()
        for chore in self._chores.values():
            every = round(chore.every * 1000)
            interval, due = found.get(chore.name, (0, 0))
            if interval != every or due < now - every - OVERDUE * 1000:
                await producer.schedule(chore.name, every)
        if drop_others:
            for name in found.keys() - self._chores.keys():
                await producer.unschedule(name)


def by_name(chores: Iterable[Chore]) -> Mapping[str, Chore]:
    """The chores by their names.

    Raises:
        InvalidInputError: two share a name, or an interval is too short.
    """
    found: dict[str, Chore] = {}
    for chore in chores:
        if chore.name in found:
            raise InvalidInputError(f"There are two chores named {chore.name!r}. Give each a name of its own.")
        if chore.every < SHORTEST:
            raise InvalidInputError(
                f"The chore {chore.name!r} is to run every {chore.every:g} s; the shortest interval is {SHORTEST:g} s."
            )
        found[chore.name] = chore
    return found
