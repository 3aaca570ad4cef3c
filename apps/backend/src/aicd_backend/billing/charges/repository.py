"""SQL of charges: what of jobs and ledger has none yet, and what of them was told to nobody yet."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Integer, LargeBinary, String, Uuid, and_, case, column, func, select, table, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.expression import ColumnElement

from aicd_backend.billing.plans import TokenKind
from aicd_backend.billing.values import NewCharge, OpenedPullRequest, TokenUse, Waiting
from aicd_core.contracts import Usage
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.ids import ExportId, JobId
from aicd_core.jobs.machine import JobEvent
from aicd_core.jobs.models import JobEventRow
from aicd_core.tenancy import Tenant, mine
from aicd_core.usage.billing.models import BillingCharge, ChargeKind
from aicd_core.usage.models import UsageEntry

COUNTERS = tuple(Usage.model_fields)
_CALLS = table(
    "model_calls",
    *(column("org_id", Uuid()), column("job_id", Uuid()), column("step", String()), column("number", Integer())),
    *(column("request_hash", LargeBinary()), column("model", String())),
)
_KEY = func.concat("call/", _CALLS.c.step, "/", _CALLS.c.number, "/", func.encode(_CALLS.c.request_hash, "hex"))
"""As `aicd_core.usage.repository.totals_by_model` has it."""
_SAME_CALL = and_(
    _CALLS.c.org_id == UsageEntry.org_id, _CALLS.c.job_id == UsageEntry.job_id, UsageEntry.entry_key == _KEY
)


async def list_opened(
    session: ReadSession, tenant: Tenant, since: datetime, until: datetime, limit: int
) -> list[OpenedPullRequest]:
    """Pull requests that were first opened from `since` on and before `until` and have no charge, oldest first."""
    query = select(JobEventRow.job_id, func.min(JobEventRow.created_at).label("at"))
    first = (
        query.where(mine(JobEventRow, tenant), JobEventRow.event == JobEvent.PUBLISHED, JobEventRow.created_at < until)
        .where(
            JobEventRow.job_id.in_(
                select(JobEventRow.job_id).where(
                    mine(JobEventRow, tenant),
                    JobEventRow.event == JobEvent.PUBLISHED,
                    JobEventRow.created_at >= since,
                    JobEventRow.created_at < until,
                )
            )
        )
        .group_by(JobEventRow.job_id)
        .subquery()
    )
    charged = select(BillingCharge.id).where(
        mine(BillingCharge, tenant),
        BillingCharge.kind == ChargeKind.PULL_REQUEST,
        BillingCharge.subject == first.c.job_id.cast(String),
    )
    wanted = select(first.c.job_id, first.c.at).where(first.c.at >= since, ~charged.exists())
    rows = await session.execute(wanted.order_by(first.c.at, first.c.job_id).limit(limit))
    return [OpenedPullRequest(JobId(job_id), at) for job_id, at in rows]


async def list_token_uses(
    session: ReadSession, tenant: Tenant, since: datetime, until: datetime, limit: int
) -> list[TokenUse]:
    """Entries of the ledger with tokens from `since` on and before `until` that have no charge, oldest first."""
    subjects = [func.concat(UsageEntry.id, f"/{kind.value}") for kind in TokenKind]
    charged = select(BillingCharge.id).where(
        mine(BillingCharge, tenant), BillingCharge.kind == ChargeKind.TOKENS, BillingCharge.subject.in_(subjects)
    )
    counters = [getattr(UsageEntry, name) for name in COUNTERS]
    query = (
        select(UsageEntry.job_id, UsageEntry.id, _CALLS.c.model, UsageEntry.created_at, *counters)
        .outerjoin(_CALLS, _SAME_CALL)
        .where(mine(UsageEntry, tenant), *_within(UsageEntry.created_at, since, until), _tokens() > 0)
        .where(~charged.exists())
        .order_by(UsageEntry.created_at, UsageEntry.id)
        .limit(limit)
    )
    return [
        TokenUse(job_id, entry_id, model, Usage(**dict(zip(COUNTERS, counts, strict=True))), at)
        for job_id, entry_id, model, at, *counts in await session.execute(query)
    ]


async def count_opened_by_month(session: ReadSession, tenant: Tenant, since: datetime) -> dict[date, int]:
    """How many pull requests have charges of each month of UTC, by its first day, from `since` on."""
    month = func.date_trunc("month", func.timezone("UTC", BillingCharge.occurred_at))
    query = (
        select(month, func.count())
        .where(mine(BillingCharge, tenant), BillingCharge.occurred_at >= since)
        .where(BillingCharge.kind == ChargeKind.PULL_REQUEST)
        .group_by(month)
    )
    return {when.date(): count for when, count in await session.execute(query)}


async def insert_charges(session: WriteSession, tenant: Tenant, charges: Sequence[NewCharge]) -> int:
    """Makes charges; how many there were, as one that is there already stays as it is."""
    if not charges:
        return 0
    new = insert(BillingCharge).values([{"org_id": tenant.org_id, **vars(charge)} for charge in charges])
    made = new.on_conflict_do_nothing(index_elements=["org_id", "kind", "subject"]).returning(BillingCharge.id)
    return len((await session.execute(made)).all())


async def list_waiting(session: ReadSession, tenant: Tenant, limit: int) -> list[Waiting]:
    """Charges to be paid that are in no meter event yet, by meter and age."""
    columns = (BillingCharge.id, BillingCharge.kind, BillingCharge.subject, BillingCharge.meter)
    query = (
        select(*columns, BillingCharge.billable, BillingCharge.occurred_at)
        .where(mine(BillingCharge, tenant), BillingCharge.export_id.is_(None), BillingCharge.billable > 0)
        .order_by(BillingCharge.meter, BillingCharge.id)
        .limit(limit)
    )
    return [Waiting(*row) for row in await session.execute(query)]


async def put_into(session: WriteSession, tenant: Tenant, charge_ids: Sequence[int], export_id: ExportId) -> int:
    """Makes charges part of a meter event; how many were in none."""
    change = update(BillingCharge).where(
        mine(BillingCharge, tenant), BillingCharge.id.in_(charge_ids), BillingCharge.export_id.is_(None)
    )
    return len((await session.execute(change.values(export_id=export_id).returning(BillingCharge.id))).all())


async def sum_by_meter(
    session: ReadSession, tenant: Tenant, since: datetime, until: datetime
) -> dict[str, tuple[int, int]]:
    """What has charges, and what of it is to be paid, of each meter from `since` on and before `until`."""
    sums = (func.sum(BillingCharge.quantity), func.sum(BillingCharge.billable))
    query = (
        select(BillingCharge.meter, *sums)
        .where(mine(BillingCharge, tenant), *_within(BillingCharge.occurred_at, since, until))
        .group_by(BillingCharge.meter)
    )
    return {meter: (int(quantity), int(billable)) for meter, quantity, billable in await session.execute(query)}


async def sum_tokens_by_model(
    session: ReadSession, tenant: Tenant, since: datetime, until: datetime
) -> list[tuple[str | None, dict[TokenKind, int]]]:
    """What the ledger itself says: tokens of each model by kind, from `since` on and before `until`."""
    sums = [func.sum(getattr(UsageEntry, f"{kind.value}_tokens")) for kind in TokenKind]
    query = (
        select(_CALLS.c.model, *sums)
        .select_from(UsageEntry)
        .outerjoin(_CALLS, _SAME_CALL)
        .where(mine(UsageEntry, tenant), *_within(UsageEntry.created_at, since, until))
        .group_by(_CALLS.c.model)
    )
    rows = await session.execute(query)
    return [(model, dict(zip(TokenKind, map(int, counts), strict=True))) for model, *counts in rows]


async def count_opened(session: ReadSession, tenant: Tenant, since: datetime, until: datetime) -> int:
    """What the jobs themselves say: how many had their pull request first opened in a span."""
    when = case((JobEventRow.created_at < since, 1), else_=0)
    query = (
        select(JobEventRow.job_id)
        .where(mine(JobEventRow, tenant), JobEventRow.event == JobEvent.PUBLISHED, JobEventRow.created_at < until)
        .group_by(JobEventRow.job_id)
        .having(func.sum(when) == 0)
        .subquery()
    )
    return (await session.execute(select(func.count()).select_from(query))).scalar_one()


def _within(moment: Any, since: datetime, until: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (moment >= since, moment < until)


def _tokens() -> Any:
    first, *rest = [getattr(UsageEntry, f"{kind.value}_tokens") for kind in TokenKind]
    return sum(rest, first)
