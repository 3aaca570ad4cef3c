"""SQL of organizations and their settings."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from aicd_core.db.sessions import ReadSession, SystemReadSession, SystemSession, WriteSession
from aicd_core.ids import OrgId, new_uuid
from aicd_core.tenancy import Tenant, mine
from aicd_core.tenancy.organizations.models import Organization, OrganizationSettings
from aicd_core.tenancy.organizations.values import OrganizationView, SettingsValues, SettingsView


async def insert_organization(session: SystemSession, slug: str, name: str) -> Tenant | None:
    """Makes an organization; None when the slug is taken."""
    new = insert(Organization).values(id=new_uuid(), slug=slug, name=name, revision=1)
    made = await session.execute(new.on_conflict_do_nothing(index_elements=["slug"]).returning(Organization.id))
    org_id = made.scalar_one_or_none()
    return None if org_id is None else Tenant(org_id)


async def found_organization(session: WriteSession, tenant: Tenant, slug: str, name: str) -> bool:
    """Makes the tenant's own organization, if it is not there, in its own transaction; False when the slug is taken."""
    new = insert(Organization).values(id=tenant.org_id, slug=slug, name=name, revision=1)
    await session.execute(new.on_conflict_do_nothing())
    own = select(Organization.id).where(mine(Organization, tenant), Organization.slug == slug)
    return (await session.execute(own)).first() is not None


async def find_by_slug(session: SystemReadSession, slug: str) -> Tenant | None:
    """The tenant with this slug, deleted or not."""
    found = await session.execute(select(Organization.id).where(Organization.slug == slug))
    org_id = found.scalar_one_or_none()
    return None if org_id is None else Tenant(org_id)


async def list_tenants(session: SystemReadSession, after: OrgId | None, limit: int) -> Sequence[Tenant]:
    """The tenants after one of them, oldest first, deleted ones too."""
    query = select(Organization.id).order_by(Organization.id).limit(limit)
    if after is not None:
        query = query.where(Organization.id > after)
    return [Tenant(org_id) for org_id in (await session.execute(query)).scalars()]


async def get_organization(session: ReadSession, tenant: Tenant) -> OrganizationView | None:
    """The tenant's own organization, deleted or not; None once it is erased."""
    row = (await session.execute(select(Organization).where(mine(Organization, tenant)))).scalar_one_or_none()
    return _view(row) if row else None


async def rename_organization(
    session: WriteSession, tenant: Tenant, revision: int, name: str
) -> OrganizationView | None:
    """Gives the organization another name; None when it is no longer at this revision."""
    return await _edit(session, tenant, revision, {"name": name})


async def set_deleted_at(
    session: WriteSession, tenant: Tenant, revision: int, deleted_at: datetime | None
) -> OrganizationView | None:
    """Marks the organization as deleted or, with None, as present; None when it is no longer at this revision."""
    return await _edit(session, tenant, revision, {"deleted_at": deleted_at})


async def get_settings(session: ReadSession, tenant: Tenant) -> SettingsView:
    """The organization's settings; the defaults at revision 0 when it has none."""
    query = select(OrganizationSettings).where(mine(OrganizationSettings, tenant))
    row = (await session.execute(query)).scalar_one_or_none()
    if row is None:
        return SettingsView()
    names = (field.name for field in fields(SettingsValues))
    return SettingsView(SettingsValues(**{name: getattr(row, name) for name in names}), row.revision)


async def insert_settings(session: WriteSession, tenant: Tenant, values: SettingsValues) -> bool:
    """Writes the first settings, revision 1; False when there are some."""
    new = insert(OrganizationSettings).values(org_id=tenant.org_id, revision=1, **asdict(values))
    made = await session.execute(
        new.on_conflict_do_nothing(index_elements=["org_id"]).returning(OrganizationSettings.org_id)
    )
    return made.first() is not None


async def update_settings(session: WriteSession, tenant: Tenant, revision: int, values: SettingsValues) -> bool:
    """Replaces the settings; False when they are no longer at this revision."""
    changed = await session.execute(
        update(OrganizationSettings)
        .where(mine(OrganizationSettings, tenant), OrganizationSettings.revision == revision)
        .values(revision=revision + 1, **asdict(values))
        .returning(OrganizationSettings.org_id)
    )
    return changed.first() is not None


async def _edit(
    session: WriteSession, tenant: Tenant, revision: int, values: dict[str, object]
) -> OrganizationView | None:
    changed = await session.execute(
        update(Organization)
        .where(mine(Organization, tenant), Organization.revision == revision)
        .values(revision=revision + 1, **values)
        .returning(Organization)
        .execution_options(populate_existing=True)
    )
    row = changed.scalar_one_or_none()
    return _view(row) if row else None


def _view(row: Organization) -> OrganizationView:
    return OrganizationView(row.id, row.slug, row.name, row.revision, row.created_at, row.deleted_at)
