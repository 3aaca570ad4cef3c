"""Keeping what watchers of jobs are told, so that whoever comes later, or looks from elsewhere, reads it as well."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import islice

from aicd_core.db.database import SystemDatabase
from aicd_core.errors import UnavailableError
from aicd_core.jobs.log import repository as log
from aicd_core.jobs.log.values import LogKind, NewLine
from aicd_core.orchestrator.lease import end
from aicd_core.orchestrator.progress import CommandEnded, Message, Progress
from aicd_core.orchestrator.redaction import Redaction
from aicd_core.text import printable

TEXT_MOST = 2_000
"""Characters of a line; what a command printed is not in it, but in the test log."""
GATHER_SECONDS = 0.3
"""Lines that come together are kept together, whatever the number of jobs: one statement for all."""
LINES_AT_ONCE = 500
WAITING_MOST = 10_000
"""Lines that wait for a database that is away; further ones are lost, and counted."""
RETRY_SECONDS = 1.0
END_SECONDS = 5.0
"""So long at most does a process that ends wait for its last lines to be kept."""

_log = logging.getLogger(__name__)


class LogKeeper:
    """An observer that writes down messages and ended commands, masked. Losing a line loses nothing but the line."""

    def __init__(self, system: SystemDatabase, redaction: Redaction) -> None:
        self._system = system
        self._redaction = redaction
        self._waiting: deque[NewLine] = deque()
        self._lost = 0
        self._come = asyncio.Event()
        self._told_to_end = asyncio.Event()

    def observe(self, progress: Progress) -> None:
        """Takes down what is told; returns at once."""
        match progress:
            case Message():
                line = NewLine(progress.job_id, datetime.now(UTC), LogKind.MESSAGE, self._safe(progress.text))
            case CommandEnded():
                told, took = self._safe(progress.outcome), progress.duration
                command = self._safe(progress.command)
                line = NewLine(progress.job_id, datetime.now(UTC), LogKind.COMMAND, command, told, took)
            case _:
                return
        if len(self._waiting) >= WAITING_MOST:
            self._lost += 1
            return
        self._waiting.append(line)
        self._come.set()

    async def run(self) -> None:
        """Keeps lines as they come, until told to end and all are kept. A database that is away is waited for."""
        while not self._told_to_end.is_set() or self._waiting:
            await self._come.wait()
            self._come.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told_to_end.wait(), GATHER_SECONDS)
            await self._keep()

    def end(self) -> None:
        """Lets `run` come to its end."""
        self._told_to_end.set()
        self._come.set()

    async def _keep(self) -> None:
        while together := list(islice(self._waiting, LINES_AT_ONCE)):
            try:
                async with self._system.write() as session:
                    await log.append_lines(session, together)
            except UnavailableError as error:
                _log.warning("lines of jobs' logs wait: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            except Exception:  # noqa: BLE001 # these lines' trouble is no others'
                _log.exception("%d lines of jobs' logs cannot be kept, and are lost", len(together))
            for _ in together:
                self._waiting.popleft()
        if self._lost:
            _log.warning("%d lines of jobs' logs were lost while the database was away", self._lost)
            self._lost = 0

    def _safe(self, text: str) -> str:
        """Masked, cut, and without what no text of the database can hold."""
        masked = printable(self._redaction.text(text)).encode(errors="replace").decode()
        return masked if len(masked) <= TEXT_MOST else masked[: TEXT_MOST - 1] + "…"


@asynccontextmanager
async def keeping_logs(system: SystemDatabase, redaction: Redaction) -> AsyncIterator[LogKeeper]:
    """A keeper for as long as a process works on jobs; what was told last is kept before it ends."""
    keeper = LogKeeper(system, redaction)
    running = asyncio.create_task(keeper.run(), name="log keeper")
    try:
        yield keeper
    finally:
        keeper.end()
        _, late = await asyncio.wait({running}, timeout=END_SECONDS)
        if late:
            _log.warning("the last lines of jobs' logs are lost: the database took too long")
        await end(running)
