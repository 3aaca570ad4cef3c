"""SQL of the ledger."""

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.dialects.postgresql import insert

from aicd_core.contracts import Usage
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.ids import JobId
from aicd_core.tenancy import Tenant, mine
from aicd_core.usage.models import UsageEntry

COUNTERS = tuple(Usage.model_fields)


async def add_entry(session: WriteSession, tenant: Tenant, job_id: JobId, entry_key: str, usage: Usage) -> None:
    """Books an entry once: a second one with the same key of the same job changes nothing."""
    new = insert(UsageEntry).values(org_id=tenant.org_id, job_id=job_id, entry_key=entry_key, **usage.model_dump())
    await session.execute(new.on_conflict_do_nothing(index_elements=["job_id", "entry_key"]))


async def total(session: ReadSession, tenant: Tenant, job_id: JobId) -> Usage:
    """The sum of a job's entries."""
    sums = [cast(func.coalesce(func.sum(getattr(UsageEntry, name)), 0), BigInteger) for name in COUNTERS]
    row = await session.execute(select(*sums).where(mine(UsageEntry, tenant), UsageEntry.job_id == job_id))
    return Usage(**dict(zip(COUNTERS, row.one(), strict=True)))
