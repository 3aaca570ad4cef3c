"""Whether what a server needs answers, asked by anybody, as often as they like."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aicd_core.errors import UnavailableError

ReadyCheck = Callable[[], Awaitable[None]]
"""Returns when everything needed answers; raises `UnavailableError` when something does not."""
logger = logging.getLogger(__name__)


class SharedCheck:
    """Runs at most one check at a time and lets all who ask meanwhile wait for it.

    Anybody may ask for readiness, so that asking must not pile up connections to the database.
    """

    def __init__(self, check: ReadyCheck, timeout: float) -> None:
        self._check = check
        self._timeout = timeout
        self._running: asyncio.Task[bool] | None = None

    async def passes(self) -> bool:
        """Whether everything needed answers; known after the timeout (seconds) at the latest."""
        # asyncio.wait leaves the check to itself: one that is slow to give up when cancelled holds nobody up.
        try:
            async with asyncio.timeout(self._timeout):
                while True:
                    running = self._join()
                    await asyncio.wait({running})
                    if not running.cancelled():
                        return running.result()
        except TimeoutError:
            return False

    def _join(self) -> asyncio.Task[bool]:
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
            asyncio.get_running_loop().call_later(self._timeout, self._running.cancel)
        return self._running

    async def _run(self) -> bool:
        try:
            await self._check()
        except UnavailableError as error:
            logger.warning("Not ready: %s", error)
            return False
        except asyncio.CancelledError:
            logger.warning("Not ready: no answer within %s s", self._timeout)
            raise
        return True
