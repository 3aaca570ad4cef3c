"""Hearing of changes of jobs while a command looks on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aicd_cli.serving import stopped_by_signals
from aicd_core.db.database import SystemDatabase
from aicd_core.ids import JobId
from aicd_core.orchestrator import watch_jobs
from aicd_core.orchestrator.lease import end

LOOK_SECONDS = 5.0
"""At the latest after so long one looks again, whatever was heard: a notice may be lost."""
REST_SECONDS = 0.2
"""Between two looks, however much happens."""


class Changes:
    """What was heard since the last look. `stopped`: by a signal, which is how one ends looking on.

    Args:
        job_id: only this job counts; None: every job of the installation.
    """

    def __init__(self, job_id: JobId | None) -> None:
        self._job_id = job_id
        self._heard = asyncio.Event()
        self.stopped = False

    def stop(self) -> None:
        """Nobody looks on any more."""
        self.stopped = True
        self._heard.set()

    def hear(self, job_id: JobId, _version: int) -> None:
        """A job changed."""
        if self._job_id in (None, job_id):
            self._heard.set()

    def hear_again(self) -> None:
        """Something may have been missed."""
        self._heard.set()

    async def wait(self) -> None:
        """Returns when something may have changed."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), LOOK_SECONDS)
        if not self.stopped:
            self._heard.clear()
            await asyncio.sleep(REST_SECONDS)


@asynccontextmanager
async def following(system: SystemDatabase, job_id: JobId | None = None) -> AsyncIterator[Changes]:
    """Listens to changes of one job, or of all, until stopped."""
    changes = Changes(job_id)
    listening = asyncio.create_task(watch_jobs(system, changes.hear, changes.hear_again))
    try:
        with stopped_by_signals(changes.stop):
            yield changes
    finally:
        await end(listening)
