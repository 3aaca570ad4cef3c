"""SQL over all tables of one tenant."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, cast, delete, func, literal, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from aicd_core.contracts import Usage
from aicd_core.db.base import Base
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.jobs.machine import AT_WORK
from aicd_core.jobs.models import Job
from aicd_core.migrations.roles import OWNER
from aicd_core.portability.tables import table_of
from aicd_core.tenancy import Tenant, mine
from aicd_core.tenancy.organizations.models import Organization
from aicd_core.usage.models import ErasedLedger, UsageEntry

ROWS_AT_ONCE = 50
"""Rows of one fetch; some hold megabytes."""
COUNTERS = tuple(Usage.model_fields)


async def stream_rows(
    session: ReadSession, tenant: Tenant, model: type[Base], withheld: frozenset[str]
) -> AsyncIterator[dict[str, Any]]:
    """Every row of the tenant in one table by primary key, without the withheld columns; never all in memory."""
    table = table_of(model)
    columns = [column for column in table.columns if column.name not in withheld]
    query = select(*columns).where(mine(model, tenant)).order_by(*table.primary_key.columns)
    rows = await session.stream(query.execution_options(yield_per=ROWS_AT_ONCE))
    async for row in rows.mappings():
        yield dict(row)


async def become_owner(session: WriteSession) -> None:
    """Goes on as the tables' owner until the transaction ends; row-level security holds it too, unlike a superuser."""
    await session.execute(text(f"SET LOCAL ROLE {OWNER}"))


async def count_at_work(session: ReadSession, tenant: Tenant) -> int:
    """How many of the tenant's jobs a worker has, or is about to take."""
    query = select(func.count()).select_from(Job).where(mine(Job, tenant), Job.state.in_(AT_WORK))
    return (await session.execute(query)).scalar_one()


async def fence_jobs(session: WriteSession, tenant: Tenant) -> None:
    """Takes every job away from its worker: what that worker still writes fails its guard."""
    await session.execute(
        update(Job).where(mine(Job, tenant)).values(version=Job.version + 1, lease_owner=None, lease_until=None)
    )


async def mark_deleted(session: WriteSession, tenant: Tenant, now: datetime) -> bool:
    """Deletes the organization softly, so that nothing new begins; False when it does not exist."""
    marked = await session.execute(
        update(Organization)
        .where(mine(Organization, tenant))
        .values(deleted_at=func.coalesce(Organization.deleted_at, now), revision=Organization.revision + 1)
        .returning(Organization.id)
    )
    return marked.first() is not None


async def open_erased_ledger(session: WriteSession, tenant: Tenant) -> bool:
    """Makes the line in which the sums of the ledger are kept, with nothing in it yet; False when it was there."""
    zeros = dict.fromkeys(("entries", *COUNTERS), 0)
    new = insert(ErasedLedger).values(org_id=tenant.org_id, **zeros)
    made = new.on_conflict_do_nothing(index_elements=["org_id"]).returning(ErasedLedger.org_id)
    return (await session.execute(made)).first() is not None


async def fold_entries(session: WriteSession, tenant: Tenant, limit: int) -> int:
    """Moves entries of the ledger into its sums, in one statement, so that each is counted exactly once."""
    some = select(UsageEntry.id).where(mine(UsageEntry, tenant)).order_by(UsageEntry.id).limit(limit)
    gone = (
        delete(UsageEntry)
        .where(mine(UsageEntry, tenant), UsageEntry.id.in_(some))
        .returning(*(getattr(UsageEntry, name) for name in COUNTERS))
        .cte("gone")
    )
    sums = [cast(func.coalesce(func.sum(gone.c[name]), 0), BigInteger).label(name) for name in COUNTERS]
    total = select(literal(tenant.org_id).label("org_id"), func.count().label("entries"), *sums).select_from(gone)
    new = insert(ErasedLedger).from_select(["org_id", "entries", *COUNTERS], total)
    added = {name: getattr(ErasedLedger, name) + new.excluded[name] for name in ("entries", *COUNTERS)}
    kept = new.on_conflict_do_update(index_elements=["org_id"], set_=added, where=mine(ErasedLedger, tenant))
    counted = await session.execute(kept.returning(select(func.count()).select_from(gone).scalar_subquery()))
    return int(counted.scalar_one())


async def delete_some(session: WriteSession, tenant: Tenant, model: type[Base], limit: int) -> int:
    """Deletes at most `limit` of the tenant's rows in one table, the newest first; returns how many those were.

    Newest first, since a row may refer to an older one of its own table.
    """
    table = table_of(model)
    key = tuple_(*table.primary_key.columns)
    newest = [column.desc() for column in table.primary_key.columns]
    some = select(*table.primary_key.columns).where(mine(model, tenant)).order_by(*newest).limit(limit)
    gone = await session.execute(
        delete(table).where(mine(model, tenant), key.in_(some)).returning(*table.primary_key.columns)
    )
    return len(gone.all())
