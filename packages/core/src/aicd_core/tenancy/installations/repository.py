"""SQL of installations."""

from datetime import datetime

from sqlalchemy import ColumnElement, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert

from aicd_core.db.pages import Page, PageRequest, cursor_of
from aicd_core.db.sessions import ReadSession, SystemReadSession, WriteSession
from aicd_core.ids import InstallationId, new_uuid
from aicd_core.tenancy import Tenant, mine
from aicd_core.tenancy.installations.models import Installation
from aicd_core.tenancy.installations.values import InstallationFacts, InstallationView


async def find_anywhere(session: SystemReadSession, host: str, external_id: int) -> InstallationView | None:
    """The installation with the host's number, whosesoever it is; one that was removed only if there is no other."""
    query = (
        select(Installation)
        .where(Installation.host == host, Installation.external_id == external_id)
        .order_by(Installation.removed_at.is_not(None), Installation.id.desc())
        .limit(1)
    )
    row = (await session.execute(query)).scalar_one_or_none()
    return _view(row) if row else None


async def find_installation(
    session: ReadSession, tenant: Tenant, host: str, external_id: int
) -> InstallationView | None:
    """The tenant's installation with the host's number, removed or not."""
    query = (
        select(Installation)
        .where(mine(Installation, tenant), Installation.host == host, Installation.external_id == external_id)
        .order_by(Installation.removed_at.is_not(None), Installation.id.desc())
        .limit(1)
    )
    row = (await session.execute(query)).scalar_one_or_none()
    return _view(row) if row else None


async def get_installation(
    session: ReadSession, tenant: Tenant, installation_id: InstallationId
) -> InstallationView | None:
    """One installation, removed or not; None when the tenant has no such one."""
    query = select(Installation).where(mine(Installation, tenant), Installation.id == installation_id)
    row = (await session.execute(query.execution_options(populate_existing=True))).scalar_one_or_none()
    return _view(row) if row else None


async def list_installations(session: ReadSession, tenant: Tenant, page: PageRequest) -> Page[InstallationView]:
    """The tenant's installations, removed ones too, newest first."""
    query = select(Installation).where(mine(Installation, tenant)).order_by(Installation.id.desc())
    if (after := page.after_uuid()) is not None:
        query = query.where(Installation.id < after)
    rows = (await session.execute(query.limit(page.limit + 1))).scalars().all()
    shown = tuple(_view(row) for row in rows[: page.limit])
    return Page(shown, cursor_of(shown[-1].id) if len(rows) > page.limit else None)


async def insert_installation(
    session: WriteSession, tenant: Tenant, facts: InstallationFacts, removed_at: datetime | None
) -> InstallationView | None:
    """Writes down an installation, or that one was removed; None when it is there, this tenant's or another's."""
    new = insert(Installation).values(
        id=new_uuid(),
        org_id=tenant.org_id,
        host=facts.host,
        external_id=facts.external_id,
        account=facts.account,
        suspended_at=facts.suspended_at,
        removed_at=removed_at,
        reported_at=facts.reported_at,
    )
    made = await session.execute(new.on_conflict_do_nothing().returning(Installation))
    row = made.scalar_one_or_none()
    return _view(row) if row else None


async def update_installation(
    session: WriteSession, tenant: Tenant, installation_id: InstallationId, facts: InstallationFacts
) -> bool:
    """Writes down what the host says now; False when it said something newer before, or it was removed."""
    news: ColumnElement[bool] = true()
    if facts.reported_at is not None:
        news = or_(Installation.reported_at.is_(None), Installation.reported_at <= facts.reported_at)
    changed = await session.execute(
        update(Installation)
        .where(mine(Installation, tenant), Installation.id == installation_id, Installation.removed_at.is_(None))
        .where(news)
        .values(account=facts.account, suspended_at=facts.suspended_at, reported_at=facts.reported_at)
        .returning(Installation.id)
    )
    return changed.first() is not None


async def set_removed(
    session: WriteSession, tenant: Tenant, installation_id: InstallationId, removed_at: datetime
) -> bool:
    """Marks an installation as removed, for good; False when it is so already."""
    changed = await session.execute(
        update(Installation)
        .where(mine(Installation, tenant), Installation.id == installation_id, Installation.removed_at.is_(None))
        .values(removed_at=removed_at)
        .returning(Installation.id)
    )
    return changed.first() is not None


def _view(row: Installation) -> InstallationView:
    return InstallationView(
        id=row.id,
        org_id=row.org_id,
        host=row.host,
        external_id=row.external_id,
        account=row.account,
        suspended_at=row.suspended_at,
        removed_at=row.removed_at,
        reported_at=row.reported_at,
    )
