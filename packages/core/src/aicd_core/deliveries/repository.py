"""SQL of deliveries, over all tenants."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Executable,
    Float,
    LargeBinary,
    String,
    Uuid,
    bindparam,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from aicd_core.db.calls import Call, Prepared
from aicd_core.db.sessions import SystemCourier, SystemReadSession, SystemSession
from aicd_core.deliveries.models import Delivery, DeliveryState
from aicd_core.deliveries.values import UNROUTED, DeliveryView, NewDelivery, Outcome
from aicd_core.ids import new_uuid
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.installations.models import Installation

_WAITING = Delivery.state == DeliveryState.RECEIVED
_ROUTE = (
    select(Installation.org_id)
    .where(Installation.host == bindparam("host", type_=String()))
    .where(Installation.external_id == bindparam("of_installation", type_=BigInteger()))
    .where(Installation.removed_at.is_(None))
    .scalar_subquery()
)


def _insert(_: Tenant) -> Executable:
    new = insert(Delivery).values(
        id=bindparam("new_id", type_=Uuid()),
        org_id=_ROUTE,
        source=bindparam("of_source", type_=String()),
        external_id=bindparam("of_external_id", type_=String()),
        event=bindparam("of_event", type_=String()),
        installation=bindparam("of_installation", type_=BigInteger()),
        subject=bindparam("of_subject", type_=String()),
        body=bindparam("of_body", type_=LargeBinary()),
        body_hash=bindparam("of_body_hash", type_=LargeBinary()),
        state=literal(DeliveryState.RECEIVED.value, String()),
        attempts=text("0"),
        traceparent=bindparam("of_traceparent", type_=String()),
    )
    return new.on_conflict_do_nothing().returning(Delivery.id)


_INSERT = Prepared(_insert)


async def insert_delivery(session: SystemSession | SystemCourier, new: NewDelivery) -> bool:
    """Stores a message, routed to the organization of its installation; False if its id or its body is there."""
    values = {
        "new_id": new_uuid(),
        "host": new.host,
        "of_source": new.source,
        "of_external_id": new.external_id,
        "of_event": new.event,
        "of_installation": new.installation,
        "of_subject": new.subject,
        "of_body": new.body,
        "of_body_hash": new.body_hash,
        "of_traceparent": new.traceparent,
    }
    return bool(await session.call(Call(_INSERT, values)))


async def reopen_delivery(session: SystemSession, new: NewDelivery) -> bool:
    """Has the same delivery, id and body, handled once more if it had failed or was nobody's; False if it was not."""
    unwanted = (Delivery.state == DeliveryState.IGNORED) & (Delivery.code == UNROUTED)
    found = await session.execute(
        update(Delivery)
        .where(Delivery.source == new.source, Delivery.external_id == new.external_id)
        .where(Delivery.body_hash == new.body_hash, or_(Delivery.state == DeliveryState.FAILED, unwanted))
        .values(
            state=DeliveryState.RECEIVED,
            attempts=0,
            received_at=func.now(),
            due_at=func.now(),
            handled_at=None,
            traceparent=new.traceparent,
        )
        .returning(Delivery.id)
    )
    return found.first() is not None


def _take(_: Tenant) -> Executable:
    # The subquery's conditions are looked at again once its row is locked, so no two take the same one.
    return text("""
        UPDATE deliveries d SET attempts = d.attempts + 1, due_at = now() + make_interval(secs => :seconds)
        FROM (
            SELECT w.id FROM deliveries w
            WHERE w.state = 'received' AND w.due_at <= now() AND w.source = ANY(:sources) AND NOT EXISTS (
                SELECT FROM deliveries e WHERE e.state = 'received' AND e.source = w.source
                    AND e.subject = w.subject AND e.id < w.id
            )
            ORDER BY w.id LIMIT 1 FOR UPDATE SKIP LOCKED
        ) c
        WHERE d.id = c.id
        RETURNING d.id, d.org_id, d.source, d.external_id, d.event, d.installation, d.subject, d.body, d.attempts,
            d.received_at, d.traceparent
    """).bindparams(bindparam("sources", type_=ARRAY(String())), bindparam("seconds", type_=Float()))


_TAKE = Prepared(_take)


async def take_delivery(
    session: SystemSession | SystemCourier, sources: Sequence[str], seconds: float
) -> DeliveryView | None:
    """The oldest delivery that may be handled now, nobody else's for so many seconds; None if there is none.

    One whose subject has an older delivery that is not done yet has to wait for it.
    """
    rows = await session.call(Call(_TAKE, {"sources": list(sources), "seconds": seconds}))
    return DeliveryView(*rows[0]) if rows else None


async def finish_delivery(session: SystemSession, delivery: DeliveryView, outcome: Outcome) -> bool:
    """Writes down how the handling ended; False if somebody else has taken the delivery since."""
    done = await session.execute(
        update(Delivery)
        .where(Delivery.id == delivery.id, _WAITING, Delivery.attempts == delivery.attempts)
        .values(
            state=outcome.state,
            code=outcome.code,
            reason=outcome.reason,
            org_id=func.coalesce(Delivery.org_id, outcome.org_id),
            handled_at=func.now(),
        )
        .returning(Delivery.id)
    )
    return done.first() is not None


async def postpone_delivery(
    session: SystemSession, delivery: DeliveryView, seconds: float, code: str | None, reason: str | None
) -> bool:
    """Gives a taken delivery back, to be taken again after so many seconds; False if somebody else has taken it."""
    given = await session.execute(
        update(Delivery)
        .where(Delivery.id == delivery.id, _WAITING, Delivery.attempts == delivery.attempts)
        .values(due_at=func.now() + timedelta(seconds=seconds), code=code, reason=reason)
        .returning(Delivery.id)
    )
    return given.first() is not None


async def count_due(session: SystemReadSession, most: int) -> int:
    """How many deliveries may be taken now, counted up to `most`."""
    due = select(Delivery.id).where(_WAITING, Delivery.due_at <= func.now()).limit(most).subquery()
    return (await session.execute(select(func.count()).select_from(due))).scalar_one()


async def delete_handled(session: SystemSession, before: datetime, most: int) -> int:
    """Removes deliveries that were handled or ignored before a time, at most so many; returns how many."""
    done = Delivery.state.in_((DeliveryState.HANDLED, DeliveryState.IGNORED))
    old = select(Delivery.id).where(done, Delivery.handled_at < before).limit(most)
    removed = await session.execute(delete(Delivery).where(Delivery.id.in_(old)).returning(Delivery.id))
    return len(removed.all())
