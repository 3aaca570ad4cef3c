"""The books of a day, compared: jobs and ledger, charges, what was sent, what Stripe counted."""

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from aicd_backend.billing.accounts import repository as accounts
from aicd_backend.billing.charges import repository as charges
from aicd_backend.billing.exports import repository as exports
from aicd_backend.billing.plans import PULL_REQUESTS, Plans, token_meter
from aicd_backend.billing.reconciliations import repository as reconciliations
from aicd_backend.billing.stripe_api import MeterAt, StripeApi
from aicd_backend.billing.values import Account, Comparison
from aicd_core.db.database import Database
from aicd_core.db.sessions import ReadSession
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import Actor

log = logging.getLogger(__name__)
AUDITOR = Actor(ActorKind.SYSTEM, "billing")


@dataclass(frozen=True)
class Reconciler:
    """Compares the books of organizations."""

    database: Database
    plans: Plans
    api: StripeApi

    async def compare(self, tenant: Tenant, day: date, meters: dict[str, MeterAt]) -> list[Comparison]:
        """Compares a day of UTC of an organization, keeps what was found, and raises the alarm on a difference.

        Nothing of an organization without an account.

        Args:
            meters: Stripe's, by name.

        Raises:
            StripeFault: Stripe did not say what it counted.
        """
        since = datetime.combine(day, time(), UTC)
        until = since + timedelta(days=1)
        async with self.database.snapshot(tenant) as session:
            account = await accounts.find_account(session, tenant)
            if account is None:
                return []
            # Ledger and charges are compared from where the present plan began: before that, another one had prices.
            begun = min(max(since, account.billed_from), until)
            ledger = await self._ledger(session, tenant, account, begun, until)
            charged = await charges.sum_by_meter(session, tenant, begun, until)
            of_day = charged if begun == since else await charges.sum_by_meter(session, tenant, since, until)
            sent = await exports.sum_sent(session, tenant, since, until)
        found = []
        for meter in sorted({*ledger, *charged, *of_day, *sent}):
            told, customer = sent.get(meter, (0, account.customer))
            counted = await self._counted(meters.get(meter), customer, since, until)
            sums = (ledger[meter], charged.get(meter, (0, 0))[0], of_day.get(meter, (0, 0))[1], told)
            found.append(Comparison(day, meter, *sums, counted))
        await self._keep(tenant, found)
        return found

    async def _ledger(
        self, session: ReadSession, tenant: Tenant, account: Account, since: datetime, until: datetime
    ) -> Counter[str]:
        plan, found = self.plans.of(account.plan), Counter[str]()
        if plan.pull_requests is not None and (opened := await charges.list_opened(session, tenant, since, until)):
            found[PULL_REQUESTS] = len(opened)
        if plan.tokens:
            for model, counts in await charges.sum_tokens_by_model(session, tenant, since, until):
                for kind, count in counts.items():
                    if count:
                        found[token_meter(self.plans.class_of(model), kind)] += count
        return found

    async def _counted(
        self, meter: MeterAt | None, customer: str | None, since: datetime, until: datetime
    ) -> int | None:
        if meter is None or customer is None:
            return None
        return int(await self.api.counted(meter.id, customer, since, until))

    async def _keep(self, tenant: Tenant, found: list[Comparison]) -> None:
        async with self.database.write(tenant) as session:
            for one in found:
                await reconciliations.store_comparison(session, tenant, one)
                if one.differs:
                    books = {name: getattr(one, name) for name in ("ledger", "charged", "billable", "sent", "provider")}
                    log.error("billing: the books of %s differ on %s, %s: %s", tenant.org_id, one.day, one.meter, books)
                    detail = {"day": str(one.day), **books}
                    await record(session, tenant, AUDITOR, "billing.books_differ", "meter", one.meter, detail)
