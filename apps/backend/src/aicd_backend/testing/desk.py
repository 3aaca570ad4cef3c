"""One organization that pays, the exporter, and what Stripe's stand-in counts: for tests from ledger to meters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from aicd_backend.billing.accounts import repository as accounts
from aicd_backend.billing.charging import Charger
from aicd_backend.billing.exporter import Exporter
from aicd_backend.billing.exports import repository as exports
from aicd_backend.billing.figures import PROBE
from aicd_backend.billing.plans import Plans
from aicd_backend.billing.reconciling import Reconciler
from aicd_backend.billing.sending import Sender
from aicd_backend.billing.stripe_api import StripeApi
from aicd_backend.billing.syncing import sync
from aicd_backend.billing.values import Account, ExportView
from aicd_backend.testing.ledgers import LedgerWriter
from aicd_backend.testing.stripe.books import Books
from aicd_backend.testing.stripe.server import serving_stripe
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.ids import JobId
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.service import ensure_organization
from aicd_core.testing.databases import TestUrls
from aicd_core.usage.billing.models import BillingMode, ExportState

PLANS = Plans.load()
NOON = (datetime.now(UTC) - timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)


@dataclass
class Desk:
    """One organization that pays, the exporter, and what Stripe counts. Time is moved on by hand."""

    exporter: Exporter
    books: Books
    url: str
    urls: TestUrls
    tenant: Tenant
    customer: str
    ahead: timedelta = timedelta(0)
    jobs: list[JobId] = field(default_factory=list)

    @property
    def ledger(self) -> LedgerWriter:
        return LedgerWriter(self.urls, self.tenant)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def account(self) -> Account:
        async with self.exporter.database.read(self.tenant) as session:
            found = await accounts.find_account(session, self.tenant)
        assert found is not None
        return found

    async def plan(self, plan: str, since: datetime, credit_pico_usd: int = 0) -> None:
        assert await self.exporter.charger.open_account(self.tenant, plan, since)
        self.ledger.set_account(self.customer, since, credit_pico_usd)

    def pull_requests(self, count: int, at: datetime) -> None:
        for _ in range(count):
            job = self.ledger.job("pr_open")
            for version, event in enumerate(("published", "feedback", "published")):
                self.ledger.event(job, version, event, "pr_open", at + timedelta(minutes=version))
            self.jobs.append(job)

    async def charge(self) -> None:
        await self.exporter.charger.charge(self.tenant, self.now())
        await self.exporter.charger.bundle_charges(self.tenant)

    async def send(self) -> int:
        return await self.exporter.sender.send_due()

    async def told(self) -> dict[str, float]:
        """Billing's figures of the installation."""
        async with self.exporter.system.read() as session:
            return {figure.name: value[()] for figure, value in (await PROBE.read(session)).items()}

    async def listed(self, state: ExportState) -> list[ExportView]:
        async with self.exporter.database.read(self.tenant) as session:
            return await exports.list_exports(session, self.tenant, state)


@asynccontextmanager
async def opened_desk(urls: TestUrls, database: Database, system: SystemDatabase) -> AsyncIterator[Desk]:
    with serving_stripe() as served:
        async with StripeApi(served.books.key, BillingMode.TEST, served.url, timeout=2.0) as api:
            async with system.write() as session:
                tenant = await ensure_organization(session, "acme")
            charger = Charger(database, PLANS, BillingMode.TEST, bundle=40)
            sender = Sender(system, api, rate=900, lease=timedelta(seconds=60))
            exporter = Exporter(database, system, api, charger, sender, Reconciler(database, PLANS, api), 60.0)
            await sync(api, PLANS)
            customer = served.books.add("customer", "cus")["id"]
            desk = Desk(exporter, served.books, served.url, urls, tenant, customer)
            exporter.sender = replace(sender, clock=desk.now)
            yield desk
