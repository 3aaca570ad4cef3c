"""SQL of the ledger."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Date,
    Executable,
    String,
    Uuid,
    and_,
    bindparam,
    cast,
    column,
    func,
    select,
    table,
    text,
)

from aicd_core.contracts import Usage
from aicd_core.db.calls import Call, Prepared
from aicd_core.db.sessions import Courier, ReadSession, WriteSession
from aicd_core.ids import JobId, RepositoryId
from aicd_core.tenancy import Tenant, mine
from aicd_core.usage.models import UsageEntry
from aicd_core.usage.subjects import subjects_of
from aicd_core.usage.values import DayTotal, LedgerEntry, RepositoryTotal

COUNTERS = tuple(Usage.model_fields)

_JOBS = table("jobs", column("org_id", Uuid()), column("id", Uuid()), column("repository_id", Uuid()))
"""What the ledger needs of jobs, whose module stands beside this one, not below it."""


def _new_entry(source: str, *more: BindParameter[str]) -> Executable:
    """The statement that books an entry for each row of `source`, which has one or none."""
    return text(
        f"""
        WITH made AS (
            INSERT INTO usage_entries (org_id, job_id, entry_key, {", ".join(COUNTERS)})
            SELECT :of_tenant, :job_id, :key, {", ".join(f":{name}" for name in COUNTERS)} {source}
            ON CONFLICT (org_id, job_id, entry_key) DO NOTHING
            RETURNING org_id, job_id, cost_micro_usd, created_at
        ), settled AS (
            DELETE FROM reservations WHERE org_id = :of_tenant AND job_id = :job_id AND entry_key = :key
        )
        INSERT INTO spending (org_id, subject, micro_usd)
        SELECT made.org_id, s.subject, made.cost_micro_usd
        FROM made
        JOIN jobs j ON j.org_id = made.org_id AND j.id = made.job_id
        CROSS JOIN LATERAL ({subjects_of("j", "made.created_at")}) AS s (nth, scope, subject)
        WHERE made.cost_micro_usd > 0
        ORDER BY s.nth
        ON CONFLICT (org_id, subject) DO UPDATE SET micro_usd = spending.micro_usd + excluded.micro_usd
        RETURNING id
        """
    ).bindparams(
        bindparam("of_tenant", type_=Uuid()),
        bindparam("job_id", type_=Uuid()),
        bindparam("key", type_=String()),
        *(bindparam(name, type_=BigInteger()) for name in COUNTERS),
        *more,
    )


_NEW_ENTRY = Prepared(lambda _: _new_entry(""))
_HOLDERS_ENTRY = Prepared(
    lambda _: _new_entry(
        "FROM jobs j WHERE j.org_id = :of_tenant AND j.id = :job_id AND j.lease_owner = :owner FOR SHARE",
        bindparam("owner", type_=String()),
    )
)


async def add_entry(
    session: WriteSession | Courier, tenant: Tenant, job_id: JobId, entry_key: str, usage: Usage
) -> None:
    """Books an entry once: a second one with the same key of the same job changes nothing.

    The sums that budgets are compared with grow with it, and what was reserved under its key is free again.
    """
    await session.call(Call.of(_NEW_ENTRY, tenant, job_id=job_id, key=entry_key, **usage.model_dump()))


async def add_holders_entry(
    session: WriteSession | Courier, tenant: Tenant, job_id: JobId, owner: str, entry_key: str, usage: Usage
) -> None:
    """As `add_entry`, for the holder of the job's lease only; nothing is booked when `owner` is not."""
    values = {"owner": owner, "key": entry_key, **usage.model_dump()}
    await session.call(Call.of(_HOLDERS_ENTRY, tenant, job_id=job_id, **values))


async def get_entry(session: ReadSession, tenant: Tenant, job_id: JobId, entry_key: str) -> Usage | None:
    """One entry of a job; None when nothing was booked under the key."""
    counters = [getattr(UsageEntry, name) for name in COUNTERS]
    mine_with_key = (mine(UsageEntry, tenant), UsageEntry.job_id == job_id, UsageEntry.entry_key == entry_key)
    row = (await session.execute(select(*counters).where(*mine_with_key))).one_or_none()
    return None if row is None else _usage(row)


_TOTAL = Prepared(
    lambda tenant: select(*_sums()).where(
        mine(UsageEntry, tenant), UsageEntry.job_id == bindparam("job_id", type_=Uuid())
    )
)


async def list_entries(session: ReadSession, tenant: Tenant, job_id: JobId) -> list[LedgerEntry]:
    """All entries of a job in the order in which they were booked."""
    counters = [getattr(UsageEntry, name) for name in COUNTERS]
    query = select(UsageEntry.entry_key, *counters).where(mine(UsageEntry, tenant), UsageEntry.job_id == job_id)
    found = await session.execute(query.order_by(UsageEntry.id))
    return [LedgerEntry(key, _usage(counts)) for key, *counts in found]


async def total(session: ReadSession | Courier, tenant: Tenant, job_id: JobId) -> Usage:
    """The sum of a job's entries."""
    (row,) = await session.call(Call.of(_TOTAL, tenant, job_id=job_id))
    return _usage(row)


async def total_between(session: ReadSession, tenant: Tenant, since: datetime, until: datetime) -> Usage:
    """The sum of the tenant's entries from `since` on and before `until`."""
    row = await session.execute(select(*_sums()).where(_in_span(tenant, since, until)))
    return _usage(row.one())


async def total_of_month(session: ReadSession, tenant: Tenant) -> Usage:
    """The sum of the tenant's entries in the present month of UTC, by the clock that dated them: the database's."""
    month = func.date_trunc("month", func.now(), "UTC")
    row = await session.execute(select(*_sums()).where(mine(UsageEntry, tenant), UsageEntry.created_at >= month))
    return _usage(row.one())


async def totals_by_day(session: ReadSession, tenant: Tenant, since: datetime, until: datetime) -> Sequence[DayTotal]:
    """The sums per day of UTC, oldest first, of the entries from `since` on and before `until`.

    A day without an entry is left out.
    """
    day = cast(func.timezone("UTC", UsageEntry.created_at), Date)
    query = select(day, func.count(), *_sums()).where(_in_span(tenant, since, until)).group_by(day).order_by(day)
    return [DayTotal(when, entries, _usage(sums)) for when, entries, *sums in await session.execute(query)]


async def totals_by_repository(
    session: ReadSession, tenant: Tenant, since: datetime, until: datetime
) -> Sequence[RepositoryTotal]:
    """The sums per repository, the dearest first, of the entries from `since` on and before `until`."""
    same_job = and_(_JOBS.c.org_id == UsageEntry.org_id, _JOBS.c.id == UsageEntry.job_id)
    query = (
        select(_JOBS.c.repository_id, func.count(), *_sums())
        .select_from(UsageEntry)
        .join(_JOBS, same_job)
        .where(_in_span(tenant, since, until))
        .group_by(_JOBS.c.repository_id)
        .order_by(func.sum(UsageEntry.cost_micro_usd).desc(), _JOBS.c.repository_id)
    )
    found = await session.execute(query)
    return [RepositoryTotal(RepositoryId(which), entries, _usage(sums)) for which, entries, *sums in found]


def _in_span(tenant: Tenant, since: datetime, until: datetime) -> ColumnElement[bool]:
    return and_(mine(UsageEntry, tenant), UsageEntry.created_at >= since, UsageEntry.created_at < until)


def _sums() -> list[ColumnElement[int]]:
    return [cast(func.coalesce(func.sum(getattr(UsageEntry, name)), 0), BigInteger) for name in COUNTERS]


def _usage(sums: Sequence[int]) -> Usage:
    return Usage(**dict(zip(COUNTERS, sums, strict=True)))
