"""Dry runs on past commits: what is fetched for them may take longer than a request waits."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import UUID

from aicd_cli.past import Judged
from aicd_core.errors import UnavailableError
from aicd_core.orchestrator.lease import end

AT_ONCE = 4
"""Dry runs at work at once in a process; whoever asks for more waits."""
LONGEST = 300.0
"""Seconds that one may take."""

Run = Callable[[], AsyncIterator[Judged]]


class PastRuns:
    """Runs them beside the requests, one at a time for each organization.

    Args:
        patience: seconds that whoever asked waits. The run goes on then, and what it fetched is there for the next one.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._running: dict[UUID, asyncio.Task[list[Judged]]] = {}

    async def judge(self, org_id: UUID, run: Run) -> list[Judged]:
        """What the run yields.

        Raises:
            UnavailableError: `past_not_ready`: it takes longer; `past_timed_out`. Also whatever the run raises.
        """
        try:
            async with asyncio.timeout(self.patience):
                while (before := self._running.get(org_id)) is not None:
                    await asyncio.wait({before})
                return await asyncio.shield(self._begin(org_id, run))
        except TimeoutError:
            raise UnavailableError(
                "The commits are being fetched still, which goes on by itself. Try again in a minute.",
                code="past_not_ready",
            ) from None

    def _begin(self, org_id: UUID, run: Run) -> asyncio.Task[list[Judged]]:
        task = self._running[org_id] = asyncio.create_task(self._work(run))

        def ended(task: asyncio.Task[list[Judged]]) -> None:
            del self._running[org_id]
            if not task.cancelled():
                task.exception()  # whoever asked may not be waiting any more

        task.add_done_callback(ended)
        return task

    async def _work(self, run: Run) -> list[Judged]:
        async with self._slots:
            try:
                async with asyncio.timeout(LONGEST):
                    return [item async for item in run()]
            except TimeoutError:
                raise UnavailableError(
                    f"The commits could not be fetched and judged within {LONGEST:.0f} s. Ask for fewer, or run "
                    "`aicd policy test` in a clone.",
                    code="past_timed_out",
                ) from None

    async def close(self) -> None:
        """Ends what is at work."""
        for task in tuple(self._running.values()):
            await end(task)
