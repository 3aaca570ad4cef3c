"""What AI-CD has in Redis, as a store of backups: the entries of its queues, and when chores are due.

Entries are read and added through BullMQ, never as keys: a copy of keys would have locks of workers that are no more in
it, and, of a queue at work, names of entries without the entries. An entry is added under its own key, so one that is
there already is not there twice; and a worker that it sends for asks Postgres whether there is anything to do.
"""

import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aicd_core.errors import UnavailableError
from aicd_core.queues.adapter import LOST, Broker, Producer, reach_redis
from aicd_core.queues.options import CHORES, DELIVERIES, JOBS

QUEUES = (JOBS, DELIVERIES)
"""Entries of the chores' queue are made by its schedules."""
KEPT = "queues.jsonl"


class RedisStore:
    """A `Store`.

    Args:
        url: of a Redis.

    Raises:
        InvalidInputError: that is not the URL of one.
    """

    comes_by_itself = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._broker = Broker.redis(url)

    async def save(self, into: Path) -> Mapping[str, int]:
        counted = {"entries": 0, "schedules": 0}
        await reach_redis(self._url)
        with _reaching(), (into / KEPT).open("w") as file:
            for queue in QUEUES:
                async with self._producer(queue) as producer:
                    async for one in producer.entries():
                        _write(file, queue=queue, name=one.name, data=one.data, key=one.key, due=one.due)
                        counted["entries"] += 1
            async with self._producer(CHORES) as producer:
                for name, (every, _) in (await producer.schedules()).items():
                    _write(file, queue=CHORES, name=name, every=every)
                    counted["schedules"] += 1
        return counted

    async def is_used(self) -> bool:
        await reach_redis(self._url)
        with _reaching():
            for queue in (*QUEUES, CHORES):
                async with self._producer(queue) as producer:
                    async for _ in producer.keys():
                        return True
        return False

    async def clear(self) -> None:
        await reach_redis(self._url)
        with _reaching():
            for queue in (*QUEUES, CHORES):
                async with self._producer(queue) as producer:
                    await producer.forget()

    async def lay(self, source: Path) -> None:
        await reach_redis(self._url)
        with _reaching(), (source / KEPT).open() as file:
            producers = {queue: Producer(self._broker, queue) for queue in (*QUEUES, CHORES)}
            try:
                for line in file:
                    await _lay(producers, json.loads(line))
            finally:
                for producer in producers.values():
                    await producer.close()

    @asynccontextmanager
    async def _producer(self, queue: str) -> AsyncIterator[Producer]:
        producer = Producer(self._broker, queue)
        try:
            yield producer
        finally:
            await producer.close()


async def _lay(producers: Mapping[str, Producer], one: Mapping[str, Any]) -> None:
    if "every" in one:
        await producers[one["queue"]].schedule(one["name"], one["every"])
        return
    wait = max(0, one["due"] - round(time.time() * 1000))
    await producers[one["queue"]].add(one["name"], one["data"], key=one["key"], delay_ms=wait)


def _write(file: Any, **fields: object) -> None:
    file.write(json.dumps(fields) + "\n")


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except LOST as error:
        raise UnavailableError(
            f"Redis went away, or refuses: {error}. Start it, or mend AICD_REDIS_URL.", code="redis_unavailable"
        ) from error
