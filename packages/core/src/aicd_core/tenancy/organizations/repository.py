"""SQL of organizations and their settings."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from aicd_core.db.sessions import SystemReadSession, SystemSession
from aicd_core.ids import new_uuid
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.models import Organization


async def insert_organization(session: SystemSession, slug: str, name: str) -> Tenant | None:
    """Makes an organization; None when the slug is taken."""
    new = insert(Organization).values(id=new_uuid(), slug=slug, name=name, revision=1)
    made = await session.execute(new.on_conflict_do_nothing(index_elements=["slug"]).returning(Organization.id))
    org_id = made.scalar_one_or_none()
    return None if org_id is None else Tenant(org_id)


async def find_by_slug(session: SystemReadSession, slug: str) -> Tenant | None:
    """The tenant with this slug, deleted or not."""
    found = await session.execute(select(Organization.id).where(Organization.slug == slug))
    org_id = found.scalar_one_or_none()
    return None if org_id is None else Tenant(org_id)
