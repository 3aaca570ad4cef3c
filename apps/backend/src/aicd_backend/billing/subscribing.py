"""From what Stripe says of a customer to the organization's account: the same, whatever was told in which order.

An event only says that something happened. What counts is how the customer stands at Stripe when it is asked, which is
after the account was read that is then written: so an older answer never overwrites a newer one.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aicd_backend.billing.accounts import repository as accounts
from aicd_backend.billing.adjustments import repository as adjustments
from aicd_backend.billing.charging import Charger
from aicd_backend.billing.plans import PICO_PER_MICRO
from aicd_backend.billing.stripe_customers import StripeCustomers
from aicd_backend.billing.subscriptions import repository as subscriptions
from aicd_backend.billing.subscriptions.values import ProviderState, state_of
from aicd_backend.billing.values import BILLING, WELCOME, Account
from aicd_core.errors import ConflictError
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import JSON

ATTEMPTS = 5


@dataclass(frozen=True)
class Subscriber:
    """Brings accounts to what Stripe says.

    Args:
        grace: how long after a failed payment work goes on.
    """

    charger: Charger
    api: StripeCustomers
    grace: timedelta

    async def refresh(self, tenant: Tenant) -> ProviderState | None:
        """Reads how the organization stands at Stripe, and writes it down; None when it is no customer there.

        Raises:
            StripeFault: Stripe did not say.
            ConflictError: the account was changed again and again meanwhile.
            InvalidInputError: `no_such_plan`: the subscription is of a plan that is not in the plans file.
        """
        for _ in range(ATTEMPTS):
            async with self.charger.database.read(tenant) as session:
                account = await accounts.find_account(session, tenant)
            if account is None or account.customer is None or account.mode is not self.api.mode:
                return None
            found = await self.api.customer_at(account.customer)
            state = state_of(found, self.charger.plans.default, self.grace, account.disputes_released_at)
            if state.plan != account.plan:
                self.charger.plans.of(state.plan)
                await self.charger.charge(tenant, datetime.now(UTC))
            if await self._write(tenant, account, state):
                return state
        raise ConflictError("The account was changed again and again meanwhile. Try again.", code="account_busy")

    async def _write(self, tenant: Tenant, account: Account, state: ProviderState) -> bool:
        """Plan, trial, credit and all else in one transaction: no plan charges before its trial is there."""
        before = {name: getattr(account, name) for name in vars(state)}
        if before == vars(state) and self._trial_end(state, account, account.billed_from) == account.trial_end:
            return True
        async with self.charger.database.write(tenant) as session:
            held = await accounts.hold_account(session, tenant)
            if held is None or held.revision != account.revision:
                return False
            begin = held.billed_from
            if state.plan != held.plan:
                begin = await accounts.get_time(session, tenant)
                await self.charger.switch_plan(session, tenant, held, state.plan, begin)
            await subscriptions.set_state(session, tenant, state, self._trial_end(state, held, begin))
            credit = self.charger.plans.of(state.plan).credit_micro_usd * PICO_PER_MICRO
            if state.subscription is not None and credit:
                reason = f"It comes with the plan {state.plan}."
                if await adjustments.insert_credit(session, tenant, WELCOME, credit, reason, BILLING.id):
                    await accounts.add_credit(session, tenant, credit)
            detail: dict[str, JSON] = {
                "status": state.status.value,
                "plan": state.plan,
                "was": account.status.value,
                "subscription": state.subscription,
                "disputed": state.disputed_at is not None,
            }
            await record(session, tenant, BILLING, "billing.changed", "organization", str(tenant.org_id), detail)
        return True

    def _trial_end(self, state: ProviderState, account: Account, begin: datetime) -> datetime | None:
        """The end of the one trial that an organization has: it begins with its first subscription to such a plan."""
        days = self.charger.plans.of(state.plan).trial_days
        if account.trial_end is not None or state.subscription is None or not days:
            return account.trial_end
        return begin + timedelta(days=days)
