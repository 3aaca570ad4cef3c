"""Hearing what happens to jobs, in whichever process it does. Losing a notice loses nothing but time."""

import asyncio
import logging
from collections.abc import Callable
from uuid import UUID

from aicd_core.db.database import SystemDatabase
from aicd_core.errors import UnavailableError
from aicd_core.ids import JobId
from aicd_core.jobs.repository import CHANNEL

RECONNECT_SECONDS = 1.0
_log = logging.getLogger(__name__)


async def watch_jobs(
    system: SystemDatabase, tell: Callable[[JobId, int], None], begun: Callable[[], None] = lambda: None
) -> None:
    """Calls `tell` with each job that changed and its version, until cancelled.

    It has one connection, which is made again when it breaks.

    Args:
        begun: called whenever it hears again: what happened before then may have been missed.
    """
    while True:
        try:
            async for payload in system.listen(CHANNEL, begun):
                try:
                    tell(*change_of(payload))
                except ValueError:  # whoever may connect may notify
                    _log.warning("a notice that is none of ours: %.100r", payload)
        except UnavailableError as error:
            _log.warning("no notices for now: %s", error)
        await asyncio.sleep(RECONNECT_SECONDS)


def change_of(payload: str) -> tuple[JobId, int]:
    """The job of a notice, `<org id> <job id> <version>`, and its version after the change."""
    _, job_id, version = payload.split(" ")
    return JobId(UUID(job_id)), int(version)
