"""SQL of organizations and repositories."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from aicd_core.ids import RepositoryId, new_uuid
from aicd_core.tenancy.models import Organization, Repository
from aicd_core.tenancy.tenant import Tenant


async def ensure_organization(session: AsyncSession, slug: str) -> Tenant:
    """The tenant with this slug, made when there is none."""
    await session.execute(insert(Organization).values(slug=slug).on_conflict_do_nothing(index_elements=["slug"]))
    found = await session.execute(select(Organization.id).where(Organization.slug == slug))
    return Tenant(found.scalar_one())


async def ensure_repository(session: AsyncSession, tenant: Tenant, source: str) -> RepositoryId:
    """The id of the tenant's repository with this source, connected when it is new."""
    new = insert(Repository).values(id=new_uuid(), org_id=tenant.org_id, source=source)
    await session.execute(new.on_conflict_do_nothing(index_elements=["org_id", "source"]))
    found = await session.execute(
        select(Repository.id).where(Repository.org_id == tenant.org_id, Repository.source == source)
    )
    return found.scalar_one()


async def get_source(session: AsyncSession, tenant: Tenant, repository_id: RepositoryId) -> str:
    """Clone URL or path of one of the tenant's repositories."""
    found = await session.execute(
        select(Repository.source).where(Repository.org_id == tenant.org_id, Repository.id == repository_id)
    )
    return found.scalar_one()
