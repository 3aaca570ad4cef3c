"""What keeps accounts right while the server runs: events handled, caps and payments looked at."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

from aicd_backend.billing.charging import Charger
from aicd_backend.billing.handling import EventHandler
from aicd_backend.billing.plans import Plans
from aicd_backend.billing.reviewing import Reviewer
from aicd_backend.billing.signature import Secrets
from aicd_backend.billing.stripe_customers import StripeCustomers
from aicd_backend.billing.stripe_faults import StripeFault
from aicd_backend.billing.subscribing import Subscriber
from aicd_backend.billing.webhook import StripeWebhook
from aicd_backend.settings import BackendSettings
from aicd_backend.stores import Stores
from aicd_core.errors import AicdError
from aicd_core.tenancy import Tenant

LOOK_SECONDS = 5.0
"""Between two looks for events whose time has come again, or that another process stored."""
LET_GO_SECONDS = 3600.0
log = logging.getLogger(__name__)


@dataclass
class Keeper:
    """Billing at work in this process. `waiting` is set when an event came in."""

    api: StripeCustomers
    charger: Charger
    subscriber: Subscriber
    reviewer: Reviewer
    handler: EventHandler
    settings: BackendSettings
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: set[Tenant] = field(default_factory=set)
    _let_go: float = 0.0

    @classmethod
    def of(cls, stores: Stores, api: StripeCustomers) -> Self:
        """All of it; raises InvalidInputError, `bad_plans`."""
        settings = stores.settings
        charger = Charger(stores.database, Plans.load(settings.billing_plans), api.mode, settings.billing_bundle)
        subscriber = Subscriber(charger, api, timedelta(days=settings.billing_grace_days))
        reviewer = Reviewer(stores.database, stores.system, charger, stores.parts)
        return cls(api, charger, subscriber, reviewer, EventHandler(stores.system, subscriber, reviewer), settings)

    def webhook(self, stores: Stores) -> StripeWebhook | None:
        """Where events come in; None where no secret is set, and so none can be believed."""
        secrets = stores.settings.stripe_webhook_secrets
        if secrets is None:
            return None
        parsed = Secrets.parse(secrets.get_secret_value())
        return StripeWebhook(parsed, self.api.mode, stores.system, self.waiting.set)

    def look_at(self, tenant: Tenant) -> None:
        """Has an organization looked at now, and not only when its turn comes."""
        self._changed.add(tenant)
        self.waiting.set()

    async def run(self) -> None:
        """Works until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._handle())
            group.create_task(self._review())

    async def _handle(self) -> None:
        while True:
            self.waiting.clear()
            await _try(self._handle_once)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.waiting.wait(), LOOK_SECONDS)

    async def _handle_once(self) -> None:
        while self._changed:
            await self.reviewer.review(self._changed.pop())
        await self.handler.work()
        if not self._let_go or time.monotonic() - self._let_go > LET_GO_SECONDS:
            await self.handler.let_go(self.settings.delivery_days)
            self._let_go = time.monotonic()

    async def _review(self) -> None:
        while True:
            await _try(self.reviewer.review_all)
            await asyncio.sleep(self.settings.billing_review)


async def _try(work: Callable[[], Awaitable[object]]) -> None:
    try:
        await work()
    except (AicdError, StripeFault) as error:
        log.warning("billing: broken off; the next look goes on: %s", error)
    except Exception:
        log.exception("billing: broken off; the next look goes on")


@asynccontextmanager
async def keeping(stores: Stores) -> AsyncIterator[Keeper | None]:
    """Billing at work in the background while the block runs; None where Stripe is not configured.

    Raises:
        InvalidInputError: the settings do not fit together.
    """
    settings = stores.settings
    if settings.stripe_key is None:
        yield None
        return
    key = settings.stripe_key.get_secret_value()
    async with StripeCustomers(key, settings.stripe_mode, settings.stripe_url) as api:
        keeper = Keeper.of(stores, api)
        task = asyncio.create_task(keeper.run(), name="billing")
        try:
            yield keeper
        finally:
            task.cancel()
            await asyncio.wait({task})
