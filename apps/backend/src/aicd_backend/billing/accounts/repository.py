"""SQL of billing accounts."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, update
from sqlalchemy.dialects.postgresql import insert

from aicd_backend.billing.values import Account
from aicd_core.db.sessions import ReadSession, SystemReadSession, WriteSession
from aicd_core.ids import OrgId
from aicd_core.tenancy import Tenant, mine
from aicd_core.usage.billing.models import BillingAccount, BillingMode

PROVIDER = "stripe"
_FIELDS = tuple(Account.__dataclass_fields__)


async def list_billed(session: SystemReadSession, after: OrgId, most: int) -> list[OrgId]:
    """The organizations with an account, `most` of those behind `after` in the order of their ids."""
    query = select(BillingAccount.org_id).where(BillingAccount.org_id > after)
    return list((await session.execute(query.order_by(BillingAccount.org_id).limit(most))).scalars())


async def count_customers(session: SystemReadSession, mode: BillingMode) -> int:
    """How many accounts name a customer of a mode of the payment provider."""
    of_mode = (BillingAccount.provider == PROVIDER, BillingAccount.customer.is_not(None), BillingAccount.mode == mode)
    return (await session.execute(select(func.count()).select_from(BillingAccount).where(*of_mode))).scalar_one()


async def find_customer(session: SystemReadSession, mode: BillingMode, customer: str) -> Tenant | None:
    """The organization that is a customer in a mode of the payment provider."""
    of_mode = (BillingAccount.provider == PROVIDER, BillingAccount.customer == customer, BillingAccount.mode == mode)
    org_id = (await session.execute(select(BillingAccount.org_id).where(*of_mode))).scalar_one_or_none()
    return None if org_id is None else Tenant(org_id)


async def find_account(session: ReadSession, tenant: Tenant) -> Account | None:
    """The tenant's account, if it has one."""
    query = select(*(getattr(BillingAccount, name) for name in _FIELDS)).where(mine(BillingAccount, tenant))
    return await _one(session, query)


async def hold_account(session: WriteSession, tenant: Tenant) -> Account | None:
    """The tenant's account, which nobody else changes until the transaction ends."""
    query = select(*(getattr(BillingAccount, name) for name in _FIELDS)).where(mine(BillingAccount, tenant))
    return await _one(session, query.with_for_update())


async def get_time(session: ReadSession, tenant: Tenant) -> datetime:
    """When the transaction began, by the clock that dates what is charged; of a tenant that has an account."""
    return (await session.execute(select(func.now()).where(mine(BillingAccount, tenant)))).scalar_one()


async def insert_account(
    session: WriteSession,
    tenant: Tenant,
    plan: str,
    mode: BillingMode,
    credit_pico_usd: int,
    trial_end: datetime | None,
) -> bool:
    """Makes the tenant's account, charged from now on; False when it has one."""
    values: dict[str, Any] = {"plan": plan, "mode": mode, "credit_pico_usd": credit_pico_usd, "trial_end": trial_end}
    new = insert(BillingAccount).values(org_id=tenant.org_id, provider=PROVIDER, revision=1, **values)
    made = new.on_conflict_do_nothing(index_elements=["org_id"]).returning(BillingAccount.org_id)
    return (await session.execute(made)).first() is not None


async def note_charged(session: WriteSession, tenant: Tenant, credit_pico_usd: int, until: datetime) -> None:
    """Keeps what is left of the credit, and until when everything has its charge.

    Never a time to come by the clock that dates what is charged: a caller's that is ahead would pass things over.
    """
    change = {"credit_pico_usd": credit_pico_usd, "charged_until": func.least(until, func.now())}
    await session.execute(update(BillingAccount).where(mine(BillingAccount, tenant)).values(**change))


async def add_credit(session: WriteSession, tenant: Tenant, pico_usd: int) -> bool:
    """Adds credit; False when the tenant has no account."""
    more = {"credit_pico_usd": BillingAccount.credit_pico_usd + pico_usd, "revision": BillingAccount.revision + 1}
    change = update(BillingAccount).where(mine(BillingAccount, tenant)).values(**more)
    return (await session.execute(change.returning(BillingAccount.org_id))).first() is not None


async def release_disputes(session: WriteSession, tenant: Tenant) -> bool:
    """Has what is disputed until now stop nothing any more; False when nothing is, or the tenant has no account."""
    change = update(BillingAccount).where(mine(BillingAccount, tenant), BillingAccount.disputed_at.is_not(None))
    values = {"disputed_at": None, "disputes_released_at": func.now(), "revision": BillingAccount.revision + 1}
    return (await session.execute(change.values(**values).returning(BillingAccount.org_id))).first() is not None


async def set_plan(session: WriteSession, tenant: Tenant, plan: str, now: datetime) -> bool:
    """Puts the tenant on a plan, which prices what happens from now on; False when it has no account.

    What happened before has to have its charges: `Charger.switch_plan` sees to it.
    """
    more = {"plan": plan, "billed_from": now, "charged_until": now, "revision": BillingAccount.revision + 1}
    change = update(BillingAccount).where(mine(BillingAccount, tenant)).values(**more)
    return (await session.execute(change.returning(BillingAccount.org_id))).first() is not None


async def _one(session: ReadSession, query: Select[Any]) -> Account | None:
    row = (await session.execute(query)).one_or_none()
    return None if row is None else Account(*row)
