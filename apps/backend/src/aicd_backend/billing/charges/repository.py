"""SQL of charges: what of jobs and ledger has none yet, and what of them was told to nobody yet."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Integer, LargeBinary, String, Uuid, and_, column, func, select, table, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.expression import ColumnElement

from aicd_backend.billing.plans import TokenKind
from aicd_backend.billing.values import NewCharge, OpenedPullRequest, TokenUse, Waiting
from aicd_core.contracts import Usage
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.ids import ExportId, JobId
from aicd_core.jobs.machine import JobEvent
from aicd_core.jobs.models import Job, JobEventRow
from aicd_core.tenancy import Tenant, mine
from aicd_core.usage.billing.models import BillingCharge, ChargeKind
from aicd_core.usage.models import UsageEntry

_CALL = re.compile(r"call/(.*)/([0-9]{1,9})/([0-9a-f]{64})", re.ASCII)
COUNTERS = tuple(Usage.model_fields)
_CALLS = table(
    "model_calls",
    *(column("org_id", Uuid()), column("job_id", Uuid()), column("step", String()), column("number", Integer())),
    *(column("request_hash", LargeBinary()), column("model", String())),
)
_KEY = func.concat("call/", _CALLS.c.step, "/", _CALLS.c.number, "/", func.encode(_CALLS.c.request_hash, "hex"))
"""The key under which a call's entry is booked (`aicd_core.journal.values.Call`)."""
_SAME_CALL = and_(
    _CALLS.c.org_id == UsageEntry.org_id, _CALLS.c.job_id == UsageEntry.job_id, UsageEntry.entry_key == _KEY
)


async def list_opened(
    session: ReadSession, tenant: Tenant, since: datetime, until: datetime
) -> list[OpenedPullRequest]:
    """Pull requests that were first opened from `since` on and before `until`, oldest first."""
    # A job has changed since its pull request was opened: of those there is an index.
    changed = select(Job.id).where(mine(Job, tenant), Job.updated_at >= since)
    first = func.min(JobEventRow.created_at)
    query = (
        select(JobEventRow.job_id, first)
        .where(mine(JobEventRow, tenant), JobEventRow.event == JobEvent.PUBLISHED, JobEventRow.job_id.in_(changed))
        .group_by(JobEventRow.job_id)
        .having(and_(first >= since, first < until))
        .order_by(first, JobEventRow.job_id)
    )
    return [OpenedPullRequest(JobId(job_id), at) for job_id, at in await session.execute(query)]


async def list_token_uses(
    session: ReadSession, tenant: Tenant, since: datetime, until: datetime, limit: int
) -> list[TokenUse]:
    """The first entries of the ledger from `since` on and before `until`, oldest first.

    The models come in a second query, by what the first one found: behind row-level security no index is used for a
    key that is made by a function which is not leakproof, and each entry would be compared with all calls of its job.
    """
    counters = [getattr(UsageEntry, name) for name in COUNTERS]
    query = (
        select(UsageEntry.job_id, UsageEntry.id, UsageEntry.entry_key, UsageEntry.created_at, *counters)
        .where(mine(UsageEntry, tenant), *_within(UsageEntry.created_at, since, until))
        .order_by(UsageEntry.created_at, UsageEntry.id)
        .limit(limit)
    )
    rows = (await session.execute(query)).all()
    calls = {(row[0], row[2]): call for row in rows if (call := _CALL.match(row[2]))}
    of_these = (
        _CALLS.c.org_id == tenant.org_id,
        _CALLS.c.job_id.in_({job_id for job_id, _ in calls}),
        _CALLS.c.request_hash.in_({bytes.fromhex(call[3]) for call in calls.values()}),
    )
    found = await session.execute(select(_CALLS).where(*of_these)) if calls else ()
    models = {(job, f"call/{step}/{number}/{sha.hex()}"): model for _, job, step, number, sha, model in found}
    return [
        TokenUse(job_id, entry_id, models.get((job_id, key)), Usage(**dict(zip(COUNTERS, counts, strict=True))), at)
        for job_id, entry_id, key, at, *counts in rows
    ]


async def find_charged(
    session: ReadSession, tenant: Tenant, kind: ChargeKind, subjects: Sequence[str]
) -> frozenset[str]:
    """Which of the subjects have a charge of a kind."""
    query = select(BillingCharge.subject).where(
        mine(BillingCharge, tenant), BillingCharge.kind == kind, BillingCharge.subject.in_(subjects)
    )
    return frozenset((await session.execute(query)).scalars())


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


async def insert_charges(session: WriteSession, tenant: Tenant, charges: Sequence[NewCharge]) -> None:
    """Makes charges; one that is there already stays as it is."""
    if charges:
        new = insert(BillingCharge).on_conflict_do_nothing(index_elements=["org_id", "kind", "subject"])
        rows = [{"org_id": tenant.org_id, **vars(charge)} for charge in charges]
        # Many rows to one statement of one row: a statement of a thousand rows takes longer to write than to carry out.
        await session.execute(new, rows, execution_options={"render_nulls": True})


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


def _within(moment: Any, since: datetime, until: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (moment >= since, moment < until)
