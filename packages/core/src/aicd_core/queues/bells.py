"""A `Bell` on BullMQ: entries that say nothing but that somebody should look."""

from collections.abc import Awaitable, Callable

import psycopg

from aicd_core.errors import UnavailableError
from aicd_core.ids import new_uuid
from aicd_core.queues.adapter import LOST, Broker, Data, Producer
from aicd_core.queues.consumer import Check, Consumer
from aicd_core.queues.handling import contained

RING = "ring"
"""The name of every entry."""


class QueueBell:
    """A `Bell`; `run` may be called once.

    Args:
        queue: the name of its queue.
        check: raises what is wrong with the backend, before the first worker starts.
        concurrency: rings answered at once by this process.
    """

    def __init__(self, broker: Broker, queue: str, check: Check, concurrency: int) -> None:
        self._queue = queue
        self._check = check
        self._producer = Producer(broker, queue)
        self._consumer = Consumer(broker, queue, self._process, concurrency)
        self._answer: Callable[[], Awaitable[None]] | None = None

    async def ring(self) -> None:
        """As `Bell.ring`. Each entry has a key of its own: one that is being answered would swallow its double."""
        try:
            await self._producer.add(RING, {}, key=str(new_uuid()), delay_ms=0)
        except (*LOST, psycopg.Error) as error:
            raise UnavailableError(
                f"The queue {self._queue} took no entry: {error}. A sweep finds what it is about in Postgres.",
                code="queue_unavailable",
            ) from error

    async def run(self, answer: Callable[[], Awaitable[None]]) -> None:
        """As `Bell.run`; waits for a database or Redis that is down.

        Raises:
            ConflictError: the queue's schema in Postgres is not the one that this code works with.
        """
        self._answer = answer
        await self._consumer.run(self._check)

    async def stop(self) -> None:
        """As `Bell.stop`."""
        self._consumer.stop()

    async def close(self) -> None:
        """Closes the connection that rings."""
        await self._producer.close()

    async def _process(self, _name: str, _data: Data) -> None:
        assert self._answer is not None, "workers start in run()"
        await contained(self._answer, f"an entry of {self._queue}")
