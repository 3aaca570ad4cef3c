"""SQL of corrections."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.ids import ExportId
from aicd_core.tenancy import Tenant, mine
from aicd_core.usage.billing.models import AdjustmentKind, AdjustmentState, BillingAdjustment


async def insert_cancel(session: WriteSession, tenant: Tenant, export_id: ExportId, reason: str, made_by: str) -> bool:
    """Notes that a meter event is to be cancelled; False when it was before."""
    values = {"kind": AdjustmentKind.CANCEL, "export_id": export_id, "subject": str(export_id), "credit_pico_usd": 0}
    return await _insert(session, tenant, values | {"reason": reason, "made_by": made_by, "detail": {}})


async def insert_credit(
    session: WriteSession, tenant: Tenant, subject: str, pico_usd: int, reason: str, made_by: str
) -> bool:
    """Notes that credit was given, which is done by that; False when it was for the same subject before."""
    values: dict[str, Any] = {"kind": AdjustmentKind.CREDIT, "subject": subject, "credit_pico_usd": pico_usd}
    done = {"state": AdjustmentState.DONE, "reason": reason, "made_by": made_by, "detail": {}}
    return await _insert(session, tenant, values | done)


async def find_cancel(session: ReadSession, tenant: Tenant, export_id: ExportId) -> AdjustmentState | None:
    """How far the cancelling of a meter event has come; None when nobody asked for it."""
    query = select(BillingAdjustment.state).where(
        mine(BillingAdjustment, tenant),
        BillingAdjustment.kind == AdjustmentKind.CANCEL,
        BillingAdjustment.export_id == export_id,
    )
    return (await session.execute(query)).scalar_one_or_none()


async def end_cancel(
    session: WriteSession,
    tenant: Tenant,
    export_id: ExportId,
    outcome: AdjustmentState,
    detail: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Says how the cancelling of a meter event ended; False when it had been done before."""
    change = update(BillingAdjustment).where(
        mine(BillingAdjustment, tenant),
        BillingAdjustment.kind == AdjustmentKind.CANCEL,
        BillingAdjustment.export_id == export_id,
        BillingAdjustment.state != AdjustmentState.DONE,
    )
    ended = change.values(state=outcome, detail=dict(detail), done_at=now).returning(BillingAdjustment.id)
    return (await session.execute(ended)).first() is not None


async def _insert(session: WriteSession, tenant: Tenant, values: dict[str, Any]) -> bool:
    new = insert(BillingAdjustment).values(org_id=tenant.org_id, **values)
    made = new.on_conflict_do_nothing(index_elements=["org_id", "kind", "subject"]).returning(BillingAdjustment.id)
    return (await session.execute(made)).first() is not None
