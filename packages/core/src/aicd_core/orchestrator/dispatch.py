"""Sending workers to jobs. What is not sent is found by the sweeper: nothing here can lose a job."""

import logging
from dataclasses import dataclass

from aicd_core.contracts import Queue, Wake
from aicd_core.errors import UnavailableError
from aicd_core.ids import JobId, OrgId
from aicd_core.jobs.values import JobView

_log = logging.getLogger(__name__)


def wake_for(job: JobView) -> Wake:
    """The wake that belongs to a job as it is now."""
    return Wake(org_id=job.org_id, job_id=job.id, key=f"{job.id}-{job.state.value}-{job.version}")


@dataclass(frozen=True)
class Dispatch:
    """How workers are sent for.

    Args:
        queue: where wakes go after the commit; None where nobody is to be sent.
        in_statement: the queue is in the same database, and a statement that needs a worker sends for it itself.
    """

    queue: Queue | None = None
    in_statement: bool = False

    async def send(self, org_id: OrgId, job_id: JobId, key: str, delay: float | None = None) -> None:
        """Sends for a worker after the commit, where the statement itself has not."""
        if self.queue is None or self.in_statement:
            return
        try:
            await self.queue.add(Wake(org_id=org_id, job_id=job_id, key=key), delay=delay or 0.0)
        except UnavailableError as error:
            _log.warning("no worker was sent to job %s; the sweeper will: %s", job_id, error)


NOBODY = Dispatch()
"""For a process that works on its jobs itself."""
