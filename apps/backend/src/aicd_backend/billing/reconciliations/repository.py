"""SQL of comparisons of the books."""

from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from aicd_backend.billing.values import Comparison
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.tenancy import Tenant, mine
from aicd_core.usage.billing.models import BillingReconciliation

_FIELDS = tuple(Comparison.__dataclass_fields__)


async def store_comparison(session: WriteSession, tenant: Tenant, found: Comparison) -> None:
    """Keeps a comparison in the place of an earlier one of the same day and meter."""
    values: dict[str, Any] = {**vars(found), "differs": found.differs, "compared_at": func.now()}
    new = insert(BillingReconciliation).values(org_id=tenant.org_id, **values)
    newer = {name: new.excluded[name] for name in values if name not in {"day", "meter"}}
    where = mine(BillingReconciliation, tenant)
    await session.execute(new.on_conflict_do_update(index_elements=["org_id", "day", "meter"], set_=newer, where=where))


async def list_comparisons(session: ReadSession, tenant: Tenant, day: date) -> list[Comparison]:
    """The comparisons of a day, by meter."""
    columns = [getattr(BillingReconciliation, name) for name in _FIELDS]
    query = select(*columns).where(mine(BillingReconciliation, tenant), BillingReconciliation.day == day)
    rows = await session.execute(query.order_by(BillingReconciliation.meter))
    return [_comparison(row) for row in rows]


def _comparison(row: Any) -> Comparison:
    sums = [None if value is None else int(value) for value in row[2:]]
    return Comparison(**dict(zip(_FIELDS, [*row[:2], *sums], strict=True)))
