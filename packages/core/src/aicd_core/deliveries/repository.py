"""SQL of deliveries, over all tenants."""

from datetime import datetime

from sqlalchemy import delete, select

from aicd_core.db.sessions import SystemSession
from aicd_core.deliveries.models import Delivery, DeliveryState


async def delete_handled(session: SystemSession, before: datetime, most: int) -> int:
    """Removes deliveries that were handled or ignored before a time, at most so many; returns how many."""
    done = Delivery.state.in_((DeliveryState.HANDLED, DeliveryState.IGNORED))
    old = select(Delivery.id).where(done, Delivery.handled_at < before).limit(most)
    removed = await session.execute(delete(Delivery).where(Delivery.id.in_(old)).returning(Delivery.id))
    return len(removed.all())
