"""SQL of caps."""

from datetime import date

from sqlalchemy import select, update

from aicd_backend.billing.caps.values import Caps, Warned
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.tenancy import Tenant, mine
from aicd_core.usage.billing.models import BillingAccount


async def get_warned(session: ReadSession, tenant: Tenant, month: date) -> Warned:
    """What was warned of in a month."""
    columns = (BillingAccount.warned_month, BillingAccount.soft_warned_percent, BillingAccount.warned_percent)
    row = (await session.execute(select(*columns).where(mine(BillingAccount, tenant)))).one_or_none()
    return Warned(soft=row[1], hard=row[2]) if row is not None and row[0] == month else Warned()


async def note_warned(session: WriteSession, tenant: Tenant, month: date, warned: Warned) -> None:
    """Notes what was warned of in a month."""
    values = {"warned_month": month, "soft_warned_percent": warned.soft, "warned_percent": warned.hard}
    await session.execute(update(BillingAccount).where(mine(BillingAccount, tenant)).values(**values))


async def set_caps(session: WriteSession, tenant: Tenant, revision: int, caps: Caps) -> int | None:
    """Sets the caps; the account's new revision, None when it is no longer at this one."""
    changed = await session.execute(
        update(BillingAccount)
        .where(mine(BillingAccount, tenant), BillingAccount.revision == revision)
        .values(soft_cap=caps.soft, hard_cap=caps.hard, revision=revision + 1)
        .returning(BillingAccount.revision)
    )
    return changed.scalar_one_or_none()
