"""SQL of what Stripe says of accounts."""

from datetime import datetime

from sqlalchemy import update

from aicd_backend.billing.subscriptions.values import ProviderState
from aicd_core.db.sessions import WriteSession
from aicd_core.tenancy import Tenant, mine
from aicd_core.usage.billing.models import BillingAccount


async def set_customer(session: WriteSession, tenant: Tenant, customer: str) -> bool:
    """Notes who the tenant is at Stripe; False when it is somebody there already, or has no account."""
    changed = await session.execute(
        update(BillingAccount)
        .where(mine(BillingAccount, tenant), BillingAccount.customer.is_(None))
        .values(customer=customer, revision=BillingAccount.revision + 1)
        .returning(BillingAccount.org_id)
    )
    return changed.first() is not None


async def set_state(
    session: WriteSession, tenant: Tenant, revision: int, told: ProviderState, trial_end: datetime | None
) -> bool:
    """Writes down how Stripe says that the tenant stands; False when the account is no longer at this revision.

    The plan is not set: `Charger.change_plan` does, which charges first what was done under the old one.
    """
    values = {name: value for name, value in vars(told).items() if name != "plan"}
    changed = await session.execute(
        update(BillingAccount)
        .where(mine(BillingAccount, tenant), BillingAccount.revision == revision, BillingAccount.plan == told.plan)
        .values(**values, trial_end=trial_end, revision=revision + 1)
        .returning(BillingAccount.org_id)
    )
    return changed.first() is not None
