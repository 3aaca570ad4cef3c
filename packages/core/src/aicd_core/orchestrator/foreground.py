"""The queue of a process that works on its own jobs in the foreground."""

from collections import deque
from collections.abc import Awaitable, Callable

from aicd_core.contracts import Wake


class ForegroundQueue:
    """A `Queue` in memory, run until it is empty. Losing it loses no job: the jobs are in Postgres."""

    def __init__(self) -> None:
        self._waiting: deque[Wake] = deque()

    async def add(self, wake: Wake) -> None:
        if all(waiting.key != wake.key for waiting in self._waiting):
            self._waiting.append(wake)

    async def run(self, handler: Callable[[Wake], Awaitable[None]]) -> None:
        while self._waiting:
            await handler(self._waiting.popleft())
