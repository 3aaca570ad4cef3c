"""Leases for tests."""

from aicd_core.db.database import SystemDatabase
from aicd_core.ids import JobId
from aicd_core.jobs.leases import repository as leases
from aicd_core.jobs.leases.values import Demand


async def take_lease(
    system: SystemDatabase, job_id: JobId, owner: str, seconds: float = 60.0, dead: tuple[str, ...] = ()
) -> bool:
    """Takes one job's lease, which admits a queued one; False when somebody else has it."""
    async with system.write() as session:
        return bool(await leases.take(session, Demand((owner,), seconds, only=job_id, dead=dead)))
