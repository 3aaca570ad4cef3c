"""The exporter: charges what was done, tells Stripe, and compares the books of the day before."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Self
from uuid import UUID

from aicd_backend.billing.accounts import repository as accounts
from aicd_backend.billing.charging import Charger
from aicd_backend.billing.exports import repository as exports
from aicd_backend.billing.figures import DIFFERING
from aicd_backend.billing.plans import Plans
from aicd_backend.billing.reconciliations import repository as reconciliations
from aicd_backend.billing.reconciling import Reconciler
from aicd_backend.billing.sending import Sender
from aicd_backend.billing.stripe_api import TIMEOUT, StripeApi
from aicd_backend.billing.values import Comparison
from aicd_backend.settings import BackendSettings
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.errors import ConflictError, InvalidInputError, UnavailableError
from aicd_core.ids import OrgId
from aicd_core.tenancy import Tenant
from aicd_core.usage.billing.models import BillingMode

log = logging.getLogger(__name__)

PAGE = 500
"""Organizations that are listed at once."""
SETTLED = timedelta(hours=2)
"""So long after a day its books are compared: what was used at its end was sent by then."""


LATEST_HOUR = 12
"""The hour of UTC from which on they are compared even while meter events wait, which is a difference. Each hour
what came of it is read again, since somebody may have compared once more."""


def open_api(settings: BackendSettings) -> StripeApi:
    """Stripe, as the settings have it.

    Raises:
        InvalidInputError: `billing_off`: no key is set; `stripe_mode`: it is of the other mode.
    """
    if settings.stripe_key is None:
        raise InvalidInputError(
            "Billing is off: set AICD_STRIPE_KEY (and AICD_STRIPE_MODE) as docs/billing.md says.", code="billing_off"
        )
    timeout = min(TIMEOUT, settings.billing_lease / 4)
    return StripeApi(settings.stripe_key.get_secret_value(), settings.stripe_mode, settings.stripe_url, timeout)


@dataclass
class Exporter:
    """All of it, for every organization with an account."""

    database: Database
    system: SystemDatabase
    api: StripeApi
    charger: Charger
    sender: Sender
    reconciler: Reconciler
    interval: float
    _checked: bool = False
    _compared: tuple[date, int] | None = None
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def of(cls, database: Database, system: SystemDatabase, api: StripeApi, settings: BackendSettings) -> Self:
        """From settings; raises InvalidInputError, `bad_plans`."""
        plans = Plans.load(settings.billing_plans)
        charger = Charger(database, plans, api.mode, settings.billing_bundle)
        sender = Sender(system, api, settings.billing_rate, timedelta(seconds=settings.billing_lease))
        reconciler = Reconciler(database, plans, api)
        return cls(database, system, api, charger, sender, reconciler, settings.billing_interval)

    async def require_one_mode(self) -> None:
        """Makes sure that key, setting, Stripe and database are of one mode.

        Raises:
            InvalidInputError: `stripe_mode`.
            UnavailableError: Stripe cannot be asked.
        """
        await self.api.require_mode()
        other = next(mode for mode in BillingMode if mode is not self.api.mode)
        async with self.system.read() as session:
            found = await accounts.count_customers(session, other)
        if found:
            raise InvalidInputError(
                f"{found} organization(s) in this database are customers of Stripe's {other.value} mode, and "
                f"AICD_STRIPE_MODE is {self.api.mode.value}. A database is of one mode: use another one for trying "
                "things out (docs/billing.md).",
                code="stripe_mode",
            )
        self._checked = True

    def stop(self) -> None:
        """Lets `run` end once the calls under way are answered."""
        self._stop.set()

    async def run(self) -> None:
        """Works until stopped; what goes wrong is told to the log, and tried again in the next pass."""
        while not self._stop.is_set():
            try:
                if not self._checked:
                    await self.require_one_mode()
                await self.work_once()
            except Exception:
                log.exception("billing: this pass was broken off; the next one goes on")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), self.interval)

    async def work_once(self) -> int:
        """Charges, bundles, sends, and compares the day before; how many meter events were sent.

        Raises:
            AicdError: the database.
            StripeFault: Stripe does not take the key.
        """
        async for tenant in self.billed():
            try:
                await self.charger.charge(tenant, datetime.now(UTC))
                await self.charger.bundle_charges(tenant)
            except (InvalidInputError, ConflictError):
                log.exception("billing: the organization %s is passed over", tenant.org_id)
            if self._stop.is_set():
                return 0
        sent = await self.sender.send_due(self._stop.is_set)
        now = datetime.now(UTC)
        day = (now - SETTLED).date() - timedelta(days=1)
        if self._compared != (day, now.hour) and (now.hour >= LATEST_HOUR or not await self._is_behind()):
            await self.tell_books(day)
            self._compared = (day, now.hour)
        return sent

    async def tell_books(self, day: date) -> None:
        """Compares what is not compared of that day, and counts what differs.

        Raises:
            AicdError: the plans, or the database.
            StripeFault: Stripe did not say what it counted.
        """
        DIFFERING.set(sum(one.differs for _, one in await self.reconcile(day, again=False)))

    async def _is_behind(self) -> bool:
        async with self.system.read() as session:
            return await exports.count_pending(session, self.api.mode) > 0

    async def reconcile(self, day: date, *, again: bool = True) -> list[tuple[OrgId, Comparison]]:
        """Compares a day's books of every organization; what was compared before is read, unless it is to be `again`.

        What of that day has no charge yet, however it came about, gets it first.

        Raises:
            AicdError: the plans, or the database.
            StripeFault: Stripe did not say what it counted.
        """
        found: list[tuple[OrgId, Comparison]] = []
        meters = await self.api.meters()
        async for tenant in self.billed():
            async with self.database.read(tenant) as session:
                known = await reconciliations.list_comparisons(session, tenant, day)
            if known and not again:
                found += [(tenant.org_id, one) for one in known]
            else:
                begin = datetime.combine(day, datetime.min.time(), UTC)
                await self.charger.charge(tenant, datetime.now(UTC), begin)
                found += [(tenant.org_id, one) for one in await self.reconciler.compare(tenant, day, meters)]
        return found

    async def billed(self) -> AsyncIterator[Tenant]:
        """Every organization with an account."""
        after = OrgId(UUID(int=0))
        while True:
            async with self.system.read() as session:
                some = await accounts.list_billed(session, after, PAGE)
            for org_id in some:
                yield Tenant(org_id)
            if len(some) < PAGE:
                return
            after = some[-1]


@asynccontextmanager
async def exporting(database: Database, system: SystemDatabase, settings: BackendSettings) -> AsyncIterator[None]:
    """An exporter at work in the background while the block runs, where Stripe is configured.

    It waits for a database or a Stripe that cannot be reached, and sends nothing before it knows both modes.

    Raises:
        InvalidInputError: key, mode, plans file and database do not fit together.
    """
    if settings.stripe_key is None:
        yield
        return
    async with open_api(settings) as api:
        exporter = Exporter.of(database, system, api, settings)
        try:
            await exporter.require_one_mode()
        except UnavailableError as error:
            log.warning("billing waits: %s", error.message)
        task = asyncio.create_task(exporter.run())
        try:
            yield
        finally:
            exporter.stop()
            await task
