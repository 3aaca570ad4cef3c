"""The one place that knows BullMQ's classes (they carry no types), with the guards that stand inside of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal, TypeAlias
from urllib.parse import urlencode

from bullmq.queue import Queue as BullQueue
from bullmq.worker import Worker as BullWorker
from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_core.queues.options import (
    ENTRY_OPTIONS,
    LONGEST_WAIT,
    REDIS_PRODUCER_TIMEOUT,
    REDIS_RETRIES,
    REDIS_WORKER_TIMEOUT,
    WORKER_OPTIONS,
)

Data: TypeAlias = Mapping[str, object]
"""What an entry carries: plain JSON, so that Node's tools can read it."""
Process: TypeAlias = Callable[[str, Data], Awaitable[None]]
"""Handles an entry, given its name and data."""

UNDONE = ("active", "delayed", "paused", "prioritized", "waiting")
"""Where BullMQ has an entry that was not handled to its end."""
PAGE = 500
"""Entries, or keys, that are read at once."""
LOST = (RedisError, OSError)
"""What is raised where Redis cannot be reached, or does not do as it is told."""


@dataclass(frozen=True)
class Entry:
    """An entry of a queue; `due` is when it may be handled, in milliseconds since 1970."""

    name: str
    data: Data
    key: str
    due: int


@dataclass(frozen=True)
class Broker:
    """Where queues live: a Postgres, as the system role, or a Redis; `url` may hold a password, and is not shown."""

    backend: Literal["postgres", "redis"]
    url: str = field(repr=False)

    @classmethod
    def redis(cls, url: str) -> "Broker":
        """A Redis.

        Raises:
            InvalidInputError: that is not the URL of one.
        """
        try:
            parse_url(url)
        except ValueError as error:
            raise InvalidInputError(
                "That is not a URL of a Redis; it should look like redis://user@host:6379/0 (the value is not shown, "
                "since it may hold a password). Mend AICD_REDIS_URL.",
                code="bad_redis_url",
            ) from error
        return cls("redis", url)

    def options(self, timeout: int) -> dict[str, Any]:
        """BullMQ's options of a connection; a Redis that is silent for `timeout` seconds is given up."""
        if self.backend == "postgres":
            return {"backend": "postgres", "connection": self.url}
        extra = urlencode({"socket_timeout": timeout, "socket_connect_timeout": 5, "socket_keepalive": "true"})
        return {"connection": f"{self.url}{'&' if '?' in self.url else '?'}{extra}"}


async def reach_redis(url: str) -> str:
    """The version of the Redis at `url`; a worker would wait for one that is away, and `aicd doctor` tells.

    Raises:
        InvalidInputError: that is not the URL of one.
        UnavailableError: it does not answer, or refuses the login.
    """
    patience = REDIS_PRODUCER_TIMEOUT
    try:
        async with Redis.from_url(
            Broker.redis(url).url, socket_timeout=patience, socket_connect_timeout=patience
        ) as client:
            server = await client.info("server")
    except LOST as error:
        raise UnavailableError(
            f"Redis did not answer: {str(error).rstrip('.')}. Start it, or mend AICD_REDIS_URL, which has the password "
            "where Redis wants one (redis://:PASSWORD@HOST:6379/0); without that variable the queue is in Postgres.",
            code="redis_unavailable",
        ) from error
    return str(server["redis_version"])


class Worker(BullWorker):
    """A BullMQ worker that can be drained, and looks for delayed entries often enough.

    Args:
        process: handles an entry; it does not raise CancelledError unless it is cancelled.
        concurrency: entries at work at once.
    """

    maximumBlockTimeout = LONGEST_WAIT  # noqa: N815 - BullMQ's name

    def __init__(self, broker: Broker, queue: str, process: Process, concurrency: int) -> None:
        async def run_entry(job: Any, _token: str) -> None:
            # None is returned: text that Postgres cannot store would mark the entry failed after the work was done.
            await process(job.name, job.data)

        connection = broker.options(REDIS_WORKER_TIMEOUT)
        options: Any = {**WORKER_OPTIONS, **connection, "concurrency": concurrency}
        processor: Any = run_entry
        super().__init__(queue, processor, options)
        _tame(self.backend)
        self._fetching = asyncio.Lock()

    async def prepare(self) -> None:
        """Asks Redis for its version: until that is known, every wait is rounded up to a whole second."""
        blocking = getattr(self.backend, "blocking_connection", None)
        if blocking is not None:
            await blocking.getRedisVersion()

    async def getNextJob(self, token: str) -> Any:  # noqa: N802 - BullMQ's name
        """As BullMQ's, one at a time; while it is drained, an entry that still arrives is handled here, and no error is
        retried.

        BullMQ calls this for all idle handlers at once, and all but one of them would ask in vain.
        """
        try:
            async with self._fetching:
                job = None if self.paused else await super().getNextJob(token)
        except Exception:
            if self.paused:
                return None
            raise
        if job is None or not self.paused:
            return job
        await self.processJob(job, job.token)
        return None

    async def drain(self) -> None:
        """Takes no more entries and waits for those at work, whose locks are kept until the last has ended."""
        await self.pause(do_not_wait_active=True)
        while left := [task for task in self.processing if _at_work(task)]:
            await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)


class Producer:
    """Adds entries to a queue, and schedules them."""

    def __init__(self, broker: Broker, queue: str) -> None:
        options: Any = broker.options(REDIS_PRODUCER_TIMEOUT)
        self._queue = BullQueue(queue, options)
        _tame(self._queue.backend)

    async def add(self, name: str, data: Data, *, key: str, delay_ms: int) -> None:
        """Adds an entry unless there is one with this key."""
        options: Any = {**ENTRY_OPTIONS, "jobId": key, "delay": delay_ms}
        await self._queue.add(name, data, options)

    async def schedule(self, name: str, every_ms: int) -> None:
        """Has an entry of this name added at every interval, or changes the interval."""
        await self._queue.upsertJobScheduler(name, {"every": every_ms}, name, {}, dict(ENTRY_OPTIONS))

    async def unschedule(self, name: str) -> None:
        """Ends what `schedule` began; nothing if there is none."""
        await self._queue.removeJobScheduler(name)

    async def schedules(self) -> dict[str, tuple[int, int]]:
        """What is scheduled: by name, the interval and when the next entry is due (ms since 1970)."""
        found = await self._queue.getJobSchedulers()
        return {item["key"]: (int(item.get("every") or 0), int(item.get("next") or 0)) for item in found}

    async def entries(self) -> AsyncIterator[Entry]:
        """Each entry that was not handled to its end, newest first of those that wait.

        Of a queue that is at work meanwhile, one that is handled may be missing, and one may come twice.
        """
        for state in UNDONE:
            for start in count(0, PAGE):
                page = await self._queue.getJobs([state], start, start + PAGE - 1)
                for job in page:
                    if job.name is not None:
                        yield Entry(job.name, job.data, job.id, job.timestamp + job.delay)
                if len(page) < PAGE:
                    break

    async def keys(self) -> AsyncIterator[bytes]:
        """The name of every key that the queue has in Redis."""
        connection: Any = self._queue.backend.connection.conn
        async for key in connection.scan_iter(match=f"{self._queue.prefix}:{self._queue.name}:*", count=PAGE):
            yield key

    async def forget(self) -> None:
        """Removes all that the queue has in Redis."""
        connection: Any = self._queue.backend.connection.conn
        async for key in self.keys():
            await connection.unlink(key)

    async def close(self) -> None:
        """Closes the connection."""
        await self._queue.close()


def _tame(backend: Any) -> None:
    """Postgres: leaves the schema to `aicd migrate`, since no worker may change it. Redis: bounds the retries."""
    if hasattr(backend, "schema"):
        backend.connection._ready = True  # noqa: SLF001 - BullMQ has no option for it
        return
    for connection in filter(None, (backend.connection, backend.blocking_connection)):
        connection.conn.set_retry(Retry(ExponentialBackoff(cap=1, base=0.1), REDIS_RETRIES))


def _at_work(task: "asyncio.Future[Any]") -> bool:
    """Whether a task of the worker still runs, or brought an entry that the loop has yet to see."""
    return not task.done() or (not task.cancelled() and task.exception() is None and task.result() is not None)
