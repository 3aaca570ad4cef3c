"""How an organization comes to pay: its customer at Stripe, a page to subscribe, a page to see to it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from aicd_backend.billing.accounts import repository as accounts
from aicd_backend.billing.charging import Charger
from aicd_backend.billing.stripe_customers import StripeCustomers
from aicd_backend.billing.subscriptions import repository as subscriptions
from aicd_backend.billing.syncing import SEATS, lookup_key, wanted_prices
from aicd_core.errors import ConflictError, InvalidInputError
from aicd_core.tenancy import Tenant


@dataclass(frozen=True)
class Cashier:
    """Opens pages of Stripe's for organizations."""

    charger: Charger
    api: StripeCustomers

    async def check_out(
        self, tenant: Tenant, name: str, plan: str, seats: int, success_url: str, cancel_url: str
    ) -> str:
        """The URL of a page where somebody subscribes the organization to a plan.

        Raises:
            InvalidInputError: `no_such_plan`, or `plan_is_free`.
            ConflictError: `subscribed`: it is on a paid plan already; `not_synced`: Stripe lacks the plan's prices.
            StripeFault: Stripe did not do it.
        """
        terms = self.charger.plans.of(plan)
        if not terms.is_paid:
            raise InvalidInputError(
                f"The plan {plan} costs nothing: cancel the subscription in the billing portal to come back to it.",
                code="plan_is_free",
            )
        customer = await self._customer(tenant, name)
        wanted = wanted_prices(plan, terms)
        found = await self.api.prices([price.lookup_key for price in wanted])
        missing = [price.lookup_key for price in wanted if price.lookup_key not in found]
        if missing:
            raise ConflictError(
                f"Stripe has no price {missing[0]} yet. Whoever runs the installation runs `aicd billing sync` first.",
                code="not_synced",
            )
        seat = lookup_key(plan, SEATS)
        prices = [(found[one.lookup_key].id, seats if one.lookup_key == seat else None) for one in wanted]
        return await self.api.check_out(customer, prices, plan, success_url, cancel_url)

    async def open_portal(self, tenant: Tenant, return_url: str) -> str:
        """The URL of a page where somebody sees to cards, invoices and the subscription.

        Raises:
            ConflictError: `no_customer`: it never began to pay, or was deleted there.
            StripeFault: Stripe did not do it.
        """
        async with self.charger.database.read(tenant) as session:
            account = await accounts.find_account(session, tenant)
        if account is None or account.customer is None or await self.api.is_deleted(account.customer):
            raise ConflictError(
                "The organization is no customer yet, so there is no portal for it. Choose a plan with "
                "`billing/checkout` first.",
                code="no_customer",
            )
        return await self.api.open_portal(account.customer, return_url)

    async def _customer(self, tenant: Tenant, name: str) -> str:
        """Its customer at Stripe, made if there is none or it was deleted; two at once come to the same one."""
        await self.charger.open_account(tenant, self.charger.plans.default, datetime.now(UTC))
        async with self.charger.database.read(tenant) as session:
            account = await accounts.find_account(session, tenant)
        assert account is not None, "it was made just now"
        if account.subscription is not None:
            raise ConflictError(
                "The organization has a subscription already. Change or cancel it in the billing portal.",
                code="subscribed",
            )
        before = account.customer
        if before is not None:
            if account.mode is not self.api.mode:
                raise ConflictError(f"The account is of Stripe's {account.mode.value} mode.", code="stripe_mode")
            if not await self.api.is_deleted(before):
                return before
        made = await self.api.create_customer(str(tenant.org_id), name, before)
        async with self.charger.database.write(tenant) as session:
            await subscriptions.set_customer(session, tenant, self.api.mode, made, before)
            account = await accounts.find_account(session, tenant)
        return (account.customer if account else None) or made
