"""What all contenders have in common: jobs are given in, and counted when they are through."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from race.spec import WARM_UP, Outcome, Spec, Stopwatch

GIVERS = 8
"""Jobs being given in at once."""
PAUSE = 0.05
"""Seconds between two jobs for an idle worker."""
DEADLINE = 600.0
"""Seconds after which a run is given up."""

Give = Callable[[int], Awaitable[Any]]
"""Gives the nth job in; returns what `Counter.started` and `Counter.ended` will call it."""


class Counter:
    """Knows when which job started, and how many are through."""

    def __init__(self) -> None:
        self._starts: dict[Any, float] = {}
        self._ended = 0
        self._failure = ""
        self._news = asyncio.Event()

    def started(self, job: Any) -> None:
        """The job's first step begins."""
        self._starts[job] = time.perf_counter()

    def ended(self) -> None:
        """One more job is through."""
        self._ended += 1
        self._news.set()

    def failed(self, reason: str) -> None:
        """A job went another way; the run is void."""
        self._failure = reason
        self._news.set()

    def start_of(self, job: Any) -> float:
        return self._starts[job]

    async def wait(self, ended: int) -> None:
        """Until so many jobs are through.

        Raises:
            RuntimeError: one of them went another way.
        """
        async with asyncio.timeout(DEADLINE):
            while self._ended < ended:
                self._news.clear()
                await self._news.wait()
                if self._failure:
                    raise RuntimeError(f"A job did not go its way: {self._failure}")


async def drive(spec: Spec, counter: Counter, give: Give) -> Outcome:
    """Gives the jobs in: some to warm up, one by one to an idle worker, then all at once with the clock running."""
    await _give_all(range(WARM_UP), give)
    await counter.wait(WARM_UP)
    starts = [await _one_start(number, counter, give) for number in range(WARM_UP, WARM_UP + spec.starts)]
    watch, given = Stopwatch(spec), WARM_UP + spec.starts
    await _give_all(range(given, given + spec.jobs), give)
    await counter.wait(given + spec.jobs)
    return watch.outcome(starts)


async def _one_start(number: int, counter: Counter, give: Give) -> float:
    """Milliseconds from giving a job in to the beginning of its first step, on an idle worker."""
    await asyncio.sleep(PAUSE)
    began = time.perf_counter()
    job = await give(number)
    await counter.wait(number + 1)
    return (counter.start_of(job) - began) * 1000


async def _give_all(numbers: range, give: Give) -> None:
    left = iter(numbers)

    async def giver() -> None:
        for number in left:
            await give(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(GIVERS):
            group.create_task(giver())
