"""The queue of a process that works on its own jobs in the foreground."""

from collections import deque

from aicd_core.contracts import Wake, WakeHandler


class ForegroundQueue:
    """A `Queue` in memory, run until it is empty. Losing it loses no job: the jobs are in Postgres."""

    def __init__(self) -> None:
        self._waiting: deque[Wake] = deque()
        self._stopped = False

    async def add(self, wake: Wake, *, delay: float = 0.0) -> None:  # noqa: ARG002 - nobody else would do it meanwhile
        """Queues the wake; a delay is ignored, since what this process waits for is its own job."""
        if all(waiting.key != wake.key for waiting in self._waiting):
            self._waiting.append(wake)

    async def run(self, handler: WakeHandler) -> None:
        """Hands wakes to `handler`, one at a time, until none is left; what the handler raises ends it."""
        while self._waiting and not self._stopped:
            await handler(self._waiting.popleft())

    async def stop(self) -> None:
        """Takes no more wakes; `run` returns when the one at work has ended."""
        self._stopped = True
