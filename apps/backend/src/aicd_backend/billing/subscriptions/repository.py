"""SQL of what Stripe says of accounts."""

from datetime import datetime

from sqlalchemy import update

from aicd_backend.billing.subscriptions.values import ProviderState
from aicd_core.db.sessions import WriteSession
from aicd_core.tenancy import Tenant, mine
from aicd_core.usage.billing.models import BillingAccount, BillingMode


async def set_customer(
    session: WriteSession, tenant: Tenant, mode: BillingMode, customer: str, before: str | None
) -> bool:
    """Notes who the tenant is at Stripe, and in which mode; False when it is not `before` any more, or no account.

    Only a customer makes an account one of a mode: caps may have been set while billing was off.
    """
    changed = await session.execute(
        update(BillingAccount)
        .where(mine(BillingAccount, tenant), BillingAccount.customer.is_not_distinct_from(before))
        .values(customer=customer, mode=mode, revision=BillingAccount.revision + 1)
        .returning(BillingAccount.org_id)
    )
    return changed.first() is not None


async def set_state(session: WriteSession, tenant: Tenant, told: ProviderState, trial_end: datetime | None) -> None:
    """Writes down how Stripe says that the tenant stands, for whoever holds the account.

    The plan is not set: `Charger.switch_plan` does, which charges first what was done under the old one.
    """
    values = {name: value for name, value in vars(told).items() if name != "plan"}
    change = update(BillingAccount).where(mine(BillingAccount, tenant))
    await session.execute(change.values(**values, trial_end=trial_end, revision=BillingAccount.revision + 1))
