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


async def watch_jobs(system: SystemDatabase, tell: Callable[[JobId], None]) -> None:
    """Calls `tell` for each job that changed, until cancelled; one connection, made again when it breaks."""
    while True:
        try:
            async for payload in system.listen(CHANNEL):
                tell(job_of(payload))
        except UnavailableError as error:
            _log.warning("no notices for now: %s", error)
        await asyncio.sleep(RECONNECT_SECONDS)


def job_of(payload: str) -> JobId:
    """The job of a notice, `<org id> <job id> <version>`."""
    return JobId(UUID(payload.split(" ")[1]))
