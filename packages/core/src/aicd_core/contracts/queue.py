"""Waking workers. The queue holds no truth: losing it loses no job."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from aicd_core.contracts.values import Value
from aicd_core.ids import JobId


class Wake(Value):
    """A hint that a job can go on; `key` is `<job>-<state>-<version>`, so that a double is one."""

    job_id: JobId
    key: str


class Queue(Protocol):
    """Delivers each wake at least once to some worker."""

    async def add(self, wake: Wake) -> None:
        """Queues the wake unless one with the same key waits already."""
        ...

    async def run(self, handler: Callable[[Wake], Awaitable[None]]) -> None:
        """Hands wakes to `handler` until cancelled, or, in the foreground, until none is left."""
        ...
