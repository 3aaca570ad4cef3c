"""SQL of Stripe's events, over all tenants."""

from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from aicd_backend.billing.events.values import Ended, EventView, NewEvent
from aicd_core.db.sessions import SystemReadSession, SystemSession
from aicd_core.ids import OrgId
from aicd_core.usage.billing.models import EventState, StripeEvent

_WAITING = StripeEvent.state == EventState.RECEIVED
_FIELDS = tuple(EventView.__dataclass_fields__)


async def insert_event(session: SystemSession, new: NewEvent) -> bool:
    """Stores an event; False when it is there."""
    made = await session.execute(
        insert(StripeEvent).values(**vars(new)).on_conflict_do_nothing().returning(StripeEvent.id)
    )
    return made.first() is not None


async def take_event(session: SystemSession, seconds: float) -> EventView | None:
    """The oldest event that may be handled now, nobody else's for so many seconds; None if there is none."""
    due = (
        select(StripeEvent.id)
        .where(_WAITING, StripeEvent.due_at <= func.now())
        .order_by(StripeEvent.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    taken = await session.execute(
        update(StripeEvent)
        .where(StripeEvent.id == due)
        .values(attempts=StripeEvent.attempts + 1, due_at=func.now() + timedelta(seconds=seconds))
        .returning(*(getattr(StripeEvent, name) for name in _FIELDS))
    )
    row = taken.one_or_none()
    return EventView(*row) if row else None


async def end_event(session: SystemSession, event: EventView, org_id: OrgId | None, ended: Ended) -> bool:
    """Writes down how the handling ended; False if somebody else has taken the event since."""
    done = await session.execute(
        update(StripeEvent)
        .where(StripeEvent.id == event.id, _WAITING, StripeEvent.attempts == event.attempts)
        .values(state=ended.state, code=ended.code, reason=ended.reason, org_id=org_id, handled_at=func.now())
        .returning(StripeEvent.id)
    )
    return done.first() is not None


async def postpone_event(session: SystemSession, event: EventView, seconds: float, code: str, reason: str) -> bool:
    """Gives a taken event back, to be taken again after so many seconds; False if somebody else has taken it."""
    given = await session.execute(
        update(StripeEvent)
        .where(StripeEvent.id == event.id, _WAITING, StripeEvent.attempts == event.attempts)
        .values(due_at=func.now() + timedelta(seconds=seconds), code=code, reason=reason)
        .returning(StripeEvent.id)
    )
    return given.first() is not None


async def oldest_waiting(session: SystemReadSession) -> float:
    """For how many seconds the oldest event that is not handled has been here; 0 if there is none."""
    age = func.coalesce(func.extract("epoch", func.now() - func.min(StripeEvent.received_at)), 0.0)
    return float((await session.execute(select(age).where(_WAITING))).scalar_one())


async def delete_handled(session: SystemSession, before: datetime, most: int) -> int:
    """Removes events that were handled or ignored before a time, at most so many; returns how many."""
    done = StripeEvent.state.in_((EventState.HANDLED, EventState.IGNORED))
    old = (
        select(StripeEvent.id).where(done, StripeEvent.handled_at < before).order_by(StripeEvent.handled_at).limit(most)
    )
    removed = await session.execute(delete(StripeEvent).where(StripeEvent.id.in_(old)).returning(StripeEvent.id))
    return len(removed.all())
