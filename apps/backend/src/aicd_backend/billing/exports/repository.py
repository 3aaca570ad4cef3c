"""SQL of meter events. Whoever sends one has claimed it; of one customer and meter, one sender at a time."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from aicd_backend.billing.values import Export, ExportView, NewExport, Setback, Unsent
from aicd_core.db.sessions import ReadSession, SystemReadSession, SystemSession, WriteSession
from aicd_core.ids import ExportId, OrgId
from aicd_core.tenancy import Tenant, mine
from aicd_core.usage.billing.models import (
    AdjustmentKind,
    AdjustmentState,
    BillingAdjustment,
    BillingExport,
    BillingMode,
    ExportState,
)

_FIELDS = tuple(Export.__dataclass_fields__)
_LOCK = text("SELECT pg_advisory_xact_lock(1633837924, 16)")
"""One claims at a time, so that two never hold events of the same customer and meter."""


async def insert_export(session: WriteSession, tenant: Tenant, new: NewExport) -> ExportId | None:
    """Makes a meter event; None when the tenant has one of the same identifier."""
    made = insert(BillingExport).values(org_id=tenant.org_id, **vars(new))
    once = made.on_conflict_do_nothing(index_elements=["org_id", "identifier"])
    return (await session.execute(once.returning(BillingExport.id))).scalar_one_or_none()


async def claim(
    session: SystemSession, mode: BillingMode, owner: str, until: datetime, now: datetime, most: int
) -> list[Export]:
    """Takes meter events that are due, the oldest of each organization and meter first, at most `most` of each.

    None of an organization and meter of which somebody holds one; `owner` holds them until `until`.
    """
    await session.execute(_LOCK)
    held = aliased(BillingExport)
    busy = select(held.id).where(
        held.state == ExportState.PENDING,
        held.org_id == BillingExport.org_id,
        held.meter == BillingExport.meter,
        held.claimed_until > now,
    )
    place = func.row_number().over(
        partition_by=(BillingExport.org_id, BillingExport.meter), order_by=(BillingExport.due_at, BillingExport.id)
    )
    due = (
        select(BillingExport.id, BillingExport.org_id, BillingExport.first_attempt_at, place.label("place"))
        .where(BillingExport.state == ExportState.PENDING, BillingExport.mode == mode)
        .where(BillingExport.due_at <= now, ~busy.exists())
        .subquery()
    )
    values = {
        "claimed_by": owner,
        "claimed_until": until,
        "first_attempt_at": func.coalesce(BillingExport.first_attempt_at, now),
    }
    columns = [getattr(BillingExport, name) for name in _FIELDS[:-1]]
    taken = (
        update(BillingExport)
        .where(BillingExport.org_id == due.c.org_id, BillingExport.id == due.c.id, due.c.place <= most)
        .values(**values)
        .returning(*columns, due.c.first_attempt_at)
    )
    rows = (await session.execute(taken)).all()
    return sorted((Export(*row) for row in rows), key=lambda export: export.id)


async def mark_sent(session: SystemSession, export: ExportId, owner: str, now: datetime) -> bool:
    """Says that the provider has a meter event; False when it is another's by now."""
    return await _end(session, export, owner, {"state": ExportState.SENT, "sent_at": now, "code": None, "reason": None})


async def set_back(session: SystemSession, export: ExportId, owner: str, why: Setback) -> bool:
    """Says why a meter event was not sent; False when it is another's by now."""
    kept = {"code": why.code, "reason": why.reason, "first_attempt_at": why.first_attempt_at}
    then = {"state": ExportState.DEAD} if why.due_at is None else {"due_at": why.due_at}
    return await _end(session, export, owner, {"attempts": BillingExport.attempts + 1, **kept, **then})


async def let_go(session: SystemSession, export: ExportId, owner: str, first_attempt_at: datetime | None) -> bool:
    """Gives a meter event back that was not tried; False when it is another's by now."""
    return await _end(session, export, owner, {"first_attempt_at": first_attempt_at})


async def reject(
    session: SystemSession, mode: BillingMode, identifiers: Sequence[str], code: str, reason: str
) -> list[OrgId]:
    """Marks meter events as dead that the provider took and rejected later; whose they are.

    Also those of which we do not know yet that it took them: sent again, it would call them duplicates.
    """
    found = await session.execute(
        update(BillingExport)
        .where(BillingExport.identifier.in_(identifiers), BillingExport.mode == mode)
        .where(BillingExport.state != ExportState.DEAD)
        .values(state=ExportState.DEAD, sent_at=None, code=code, reason=reason, claimed_by=None, claimed_until=None)
        .returning(BillingExport.org_id)
    )
    return list(found.scalars())


async def count_pending(session: SystemReadSession, mode: BillingMode) -> int:
    """How many meter events wait to be sent."""
    pending = (BillingExport.state == ExportState.PENDING, BillingExport.mode == mode)
    return (await session.execute(select(func.count()).select_from(BillingExport).where(*pending))).scalar_one()


async def count_unsent(session: SystemReadSession) -> Unsent:
    """The meter events that wait to be sent, whatever their mode: a database is of one."""
    age = func.coalesce(func.extract("epoch", func.now() - func.min(BillingExport.created_at)), 0.0)
    pending = select(func.count(), age).where(BillingExport.state == ExportState.PENDING)
    count, oldest = (await session.execute(pending)).one()
    return Unsent(count, float(oldest))


async def count_dead(session: SystemReadSession) -> int:
    """How many meter events are not sent again by themselves."""
    dead = select(func.count()).select_from(BillingExport).where(BillingExport.state == ExportState.DEAD)
    return (await session.execute(dead)).scalar_one()


async def list_exports(session: ReadSession, tenant: Tenant, only: ExportState) -> list[ExportView]:
    """The tenant's meter events that have come so far, oldest first."""
    columns = [getattr(BillingExport, name) for name in ExportView.__dataclass_fields__]
    query = select(*columns).where(mine(BillingExport, tenant), BillingExport.state == only)
    return [ExportView(*row) for row in await session.execute(query.order_by(BillingExport.id))]


async def revive(session: WriteSession, tenant: Tenant, exports: Sequence[ExportId], now: datetime) -> int:
    """Has dead meter events sent again; how many were dead."""
    dead = (mine(BillingExport, tenant), BillingExport.id.in_(exports), BillingExport.state == ExportState.DEAD)
    fresh = {"state": ExportState.PENDING, "attempts": 0, "due_at": now, "first_attempt_at": None}
    change = update(BillingExport).where(*dead).values(**fresh, claimed_by=None, claimed_until=None)
    return len((await session.execute(change.returning(BillingExport.id))).all())


async def find_export(
    session: ReadSession, tenant: Tenant, export_id: ExportId
) -> tuple[Export, datetime | None] | None:
    """A meter event, and when it was sent; None when the tenant has no such one."""
    columns = [getattr(BillingExport, name) for name in _FIELDS]
    query = select(*columns, BillingExport.sent_at).where(mine(BillingExport, tenant), BillingExport.id == export_id)
    row = (await session.execute(query)).one_or_none()
    return None if row is None else (Export(*row[:-1]), row[-1])


async def sum_sent(
    session: ReadSession, tenant: Tenant, since: datetime, until: datetime
) -> dict[str, tuple[int, str]]:
    """What was sent of each meter of what happened from `since` on and before `until`, and to which customer.

    What was cancelled since does not count.
    """
    cancelled = select(BillingAdjustment.id).where(
        mine(BillingAdjustment, tenant),
        BillingAdjustment.export_id == BillingExport.id,
        BillingAdjustment.kind == AdjustmentKind.CANCEL,
        BillingAdjustment.state == AdjustmentState.DONE,
    )
    query = (
        select(BillingExport.meter, func.sum(BillingExport.quantity), func.max(BillingExport.customer))
        .where(mine(BillingExport, tenant), BillingExport.state == ExportState.SENT, ~cancelled.exists())
        .where(BillingExport.occurred_at >= since, BillingExport.occurred_at < until)
        .group_by(BillingExport.meter)
    )
    return {meter: (int(quantity), customer) for meter, quantity, customer in await session.execute(query)}


async def _end(session: SystemSession, export: ExportId, owner: str, values: dict[str, object]) -> bool:
    held = (BillingExport.id == export, BillingExport.claimed_by == owner, BillingExport.state == ExportState.PENDING)
    change = update(BillingExport).where(*held).values(**values, claimed_by=None, claimed_until=None)
    return (await session.execute(change.returning(BillingExport.id))).first() is not None
