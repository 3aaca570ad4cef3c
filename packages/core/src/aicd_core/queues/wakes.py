"""The queue of wakes on BullMQ: the same on both backends but for how a wake is added."""

from typing import Protocol

from aicd_core.contracts import Wake, WakeHandler
from aicd_core.db.database import SystemDatabase
from aicd_core.errors import UnavailableError
from aicd_core.queues.adapter import LOST, Broker, Data, Producer
from aicd_core.queues.consumer import Check, Consumer
from aicd_core.queues.handling import contained
from aicd_core.queues.options import JOBS, WAKE
from aicd_core.queues.repository import add_wake


class Adder(Protocol):
    """How a wake gets into a backend."""

    async def add(self, wake: Wake, delay_ms: int) -> None: ...

    async def close(self) -> None: ...


class PostgresAdder:
    """Adds through the function that transactions use as well, so that there is one way in."""

    def __init__(self, system: SystemDatabase) -> None:
        self._system = system

    async def add(self, wake: Wake, delay_ms: int) -> None:
        async with self._system.write() as session:
            await add_wake(session, wake, delay_ms)

    async def close(self) -> None:
        """Leaves the database to whoever opened it."""


class RedisAdder:
    """Adds through a connection of its own."""

    def __init__(self, broker: Broker) -> None:
        self._producer = Producer(broker, JOBS)

    async def add(self, wake: Wake, delay_ms: int) -> None:
        try:
            await self._producer.add(WAKE, wake.model_dump(mode="json"), key=wake.key, delay_ms=delay_ms)
        except LOST as error:
            raise UnavailableError(
                f"Redis did not take a wake for job {wake.job_id}: {error}. Start it or check AICD_REDIS_URL; the job "
                "is in Postgres and goes on when the sweeper finds it.",
                code="queue_unavailable",
            ) from error

    async def close(self) -> None:
        await self._producer.close()


class WakeQueue:
    """A `Queue` on BullMQ; `run` may be called once.

    Args:
        check: raises what is wrong with the backend, before the first worker starts.
        concurrency: wakes handled at once by this process.
    """

    def __init__(self, broker: Broker, adder: Adder, check: Check, concurrency: int) -> None:
        self._adder = adder
        self._check = check
        self._consumer = Consumer(broker, JOBS, self._process, concurrency)
        self._handler: WakeHandler | None = None

    async def add(self, wake: Wake, *, delay: float = 0.0) -> None:
        """As `Queue.add`."""
        await self._adder.add(wake, max(0, round(delay * 1000)))

    async def run(self, handler: WakeHandler) -> None:
        """As `Queue.run`; waits for a database or Redis that is down.

        Raises:
            ConflictError: the queue's schema in Postgres is not the one that this code works with.
        """
        self._handler = handler
        await self._consumer.run(self._check)

    async def stop(self) -> None:
        """As `Queue.stop`."""
        self._consumer.stop()

    async def _process(self, _name: str, data: Data) -> None:
        handler = self._handler
        assert handler is not None, "workers start in run()"

        async def handle() -> None:
            await handler(Wake.model_validate(data))

        await contained(handle, f"wake {data.get('key')}")
