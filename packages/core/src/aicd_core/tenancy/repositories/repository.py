"""SQL of repositories."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.ids import RepositoryId, new_uuid
from aicd_core.tenancy import Tenant, mine
from aicd_core.tenancy.repositories.models import Repository


async def ensure_repository(session: WriteSession, tenant: Tenant, source: str) -> RepositoryId:
    """The id of the tenant's repository with this source, connected when it is new."""
    new = insert(Repository).values(id=new_uuid(), org_id=tenant.org_id, source=source)
    await session.execute(new.on_conflict_do_nothing(index_elements=["org_id", "source"]))
    found = await session.execute(select(Repository.id).where(mine(Repository, tenant), Repository.source == source))
    return found.scalar_one()


async def get_source(session: ReadSession, tenant: Tenant, repository_id: RepositoryId) -> str | None:
    """Clone URL or path of one of the tenant's repositories; None when it has no such repository."""
    found = await session.execute(
        select(Repository.source).where(mine(Repository, tenant), Repository.id == repository_id)
    )
    return found.scalar_one_or_none()
