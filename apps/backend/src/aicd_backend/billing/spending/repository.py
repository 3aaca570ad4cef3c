"""SQL of what charges come to."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Numeric, cast, func, select

from aicd_backend.billing.spending.values import ChargeView, MeterSum
from aicd_core.db.pages import Page, PageRequest, cursor_of
from aicd_core.db.sessions import ReadSession
from aicd_core.ids import JobId
from aicd_core.tenancy import Tenant, mine
from aicd_core.usage.billing.models import BillingCharge, ChargeKind

_FIELDS = tuple(ChargeView.__dataclass_fields__)


def _paid() -> ColumnElement[Any]:
    return func.coalesce(func.sum(cast(BillingCharge.billable, Numeric) * BillingCharge.unit_pico_usd), 0)


async def sum_spent(session: ReadSession, tenant: Tenant, since: datetime, until: datetime) -> int:
    """What is to be paid for everything of a span, in 10^-12 US dollars."""
    span = (BillingCharge.occurred_at >= since, BillingCharge.occurred_at < until)
    return int((await session.execute(select(_paid()).where(mine(BillingCharge, tenant), *span))).scalar_one())


async def sum_worth(session: ReadSession, tenant: Tenant, since: datetime, until: datetime) -> int:
    """What the tokens of a span are worth by their prices, to be paid or not, in 10^-12 US dollars."""
    worth = func.coalesce(func.sum(cast(BillingCharge.quantity, Numeric) * BillingCharge.unit_pico_usd), 0)
    of = (mine(BillingCharge, tenant), BillingCharge.occurred_at >= since, BillingCharge.occurred_at < until)
    query = select(worth).where(*of, BillingCharge.kind == ChargeKind.TOKENS)
    return int((await session.execute(query)).scalar_one())


async def sum_meters(session: ReadSession, tenant: Tenant, since: datetime, until: datetime) -> list[MeterSum]:
    """The same by meter."""
    span = (BillingCharge.occurred_at >= since, BillingCharge.occurred_at < until)
    return await _by_meter(session, tenant, *span)


async def sum_job(session: ReadSession, tenant: Tenant, job_id: JobId) -> list[MeterSum]:
    """The charges of one job, by meter."""
    return await _by_meter(session, tenant, BillingCharge.job_id == job_id)


async def _by_meter(session: ReadSession, tenant: Tenant, *of: ColumnElement[bool]) -> list[MeterSum]:
    sums = (func.sum(BillingCharge.quantity), func.sum(BillingCharge.billable), _paid())
    credit = func.sum(BillingCharge.credit_pico_usd)
    query = (
        select(BillingCharge.meter, *sums, credit).where(mine(BillingCharge, tenant), *of).group_by(BillingCharge.meter)
    )
    rows = await session.execute(query.order_by(BillingCharge.meter))
    return [MeterSum(meter, *map(int, counts)) for meter, *counts in rows]


async def count_charged(session: ReadSession, tenant: Tenant, since: datetime) -> int:
    """How many pull requests have their charge, of those that were opened since then."""
    query = select(func.count()).where(
        *(mine(BillingCharge, tenant), BillingCharge.occurred_at >= since),
        BillingCharge.kind == ChargeKind.PULL_REQUEST,
    )
    return (await session.execute(query)).scalar_one()


async def list_charges(session: ReadSession, tenant: Tenant, page: PageRequest) -> Page[ChargeView]:
    """The tenant's charges, newest first."""
    query = select(*(getattr(BillingCharge, name) for name in _FIELDS)).where(mine(BillingCharge, tenant))
    if (after := page.after_number()) is not None:
        query = query.where(BillingCharge.id < after)
    rows = (await session.execute(query.order_by(BillingCharge.id.desc()).limit(page.limit + 1))).all()
    shown = tuple(ChargeView(*row) for row in rows[: page.limit])
    return Page(shown, cursor_of(shown[-1].id) if len(rows) > page.limit else None)
