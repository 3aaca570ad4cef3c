"""Events of Stripe's, handled from where they are stored: at least once, in any order, with the same end."""

import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aicd_backend.billing.accounts import repository as accounts
from aicd_backend.billing.events import repository as events
from aicd_backend.billing.events.values import HANDLED_KINDS, METER_REPORT, Ended, EventView, object_of
from aicd_backend.billing.exports import repository as exports
from aicd_backend.billing.figures import EVENTS
from aicd_backend.billing.reviewing import Reviewer
from aicd_backend.billing.stripe_customers import rejected_of
from aicd_backend.billing.stripe_faults import StripeFault
from aicd_backend.billing.subscribing import Subscriber
from aicd_backend.billing.values import BILLING
from aicd_core.db.database import SystemDatabase
from aicd_core.errors import AicdError
from aicd_core.ids import OrgId
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import JSON
from aicd_core.usage.billing.models import EventState

log = logging.getLogger(__name__)
TAKEN_SECONDS = 300.0
"""A taken event is nobody else's for so long; when its process was killed, another takes it then."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 600.0
MOST_ATTEMPTS = 20
"""With the pauses between them, so many take more than two hours."""
REJECTED = "rejected_later"
"""The code of meter events that Stripe took, and could not count."""
OTHER = Ended(EventState.IGNORED, "other_event", "Nothing hangs on events of this kind.")
NOBODYS = Ended(EventState.IGNORED, "unknown_customer", "No organization is this customer.")
HANDLED = Ended(EventState.HANDLED)


@dataclass(frozen=True)
class EventHandler:
    """Handles events."""

    system: SystemDatabase
    subscriber: Subscriber
    reviewer: Reviewer

    async def work(self) -> int:
        """Handles events until none may be taken; how many that were.

        Raises:
            AicdError: the database.
        """
        done = 0
        while True:
            async with self.system.write() as session:
                event = await events.take_event(session, TAKEN_SECONDS)
            if event is None:
                return done
            await self._handle(event)
            done += 1

    async def let_go(self, days: float) -> None:
        """Removes events that were handled so many days ago."""
        before, most = datetime.now(UTC) - timedelta(days=days), 1000
        removed = most
        while removed == most:
            async with self.system.write() as session:
                removed = await events.delete_handled(session, before, most)

    async def _handle(self, event: EventView) -> None:
        try:
            org_id, ended = await self._done(event)
        except (StripeFault, AicdError) as error:
            code = error.code or "stripe"
            await self._mind(event, code, str(error)[:500])
        except Exception as error:
            log.exception("billing: the event %s (%s)", event.external_id, event.kind)
            await self._mind(event, "internal", f"Unexpected {type(error).__name__}; the log has more.")
        else:
            async with self.system.write() as session:
                ours = await events.end_event(session, event, org_id, ended)
            if ours:
                EVENTS.labels(ended.state.value).inc()
            log.info("billing: the event %s (%s) is %s", event.external_id, event.kind, ended.state.value)

    async def _done(self, event: EventView) -> tuple[OrgId | None, Ended]:
        if not event.kind.startswith(HANDLED_KINDS):
            return None, OTHER
        if event.kind == METER_REPORT:
            return None, await self._reject(event)
        customer = event.customer or await self._customer_of_dispute(event)
        async with self.system.read() as session:
            tenant = await accounts.find_customer(session, event.mode, customer) if customer else None
        if tenant is None:
            return None, NOBODYS
        await self.subscriber.refresh(tenant)
        await self.reviewer.review(tenant)
        return tenant.org_id, HANDLED

    async def _customer_of_dispute(self, event: EventView) -> str | None:
        """A dispute names the payment, and not whose it was."""
        charge = object_of(json.loads(event.body)).get("charge")
        return await self.subscriber.api.customer_of_charge(charge) if isinstance(charge, str) else None

    async def _reject(self, event: EventView) -> Ended:
        told = json.loads(event.body)
        found = rejected_of(told) if told.get("data") else await self.subscriber.api.rejected(event.external_id)
        async with self.system.write() as session:
            whose = await exports.reject(session, event.mode, found.identifiers, REJECTED, found.summary)
        log.error("billing: Stripe rejected %d meter event(s) later: %s", len(whose), found.summary)
        for org_id in sorted(set(whose)):
            tenant = Tenant(org_id)
            detail: dict[str, JSON] = {"events": whose.count(org_id), "said": found.summary}
            async with self.subscriber.charger.database.write(tenant) as session:
                await record(session, tenant, BILLING, "billing.rejected", "organization", str(org_id), detail)
        return HANDLED

    async def _mind(self, event: EventView, code: str, reason: str) -> None:
        """Has an event tried again later, or given up."""
        log.warning("billing: the event %s (%s): %s", event.external_id, event.kind, reason)
        with suppress(AicdError):  # it is due again in a while in any case
            async with self.system.write() as session:
                if event.attempts >= MOST_ATTEMPTS:
                    if await events.end_event(session, event, None, Ended(EventState.FAILED, code, reason)):
                        EVENTS.labels(EventState.FAILED.value).inc()
                else:
                    pause = min(FIRST_PAUSE * 2 ** (event.attempts - 1), LONGEST_PAUSE)
                    await events.postpone_event(session, event, pause, code, reason)
