"""SQL of repositories."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from aicd_core.db.pages import Page, PageRequest, cursor_of
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.ids import InstallationId, RepositoryId, new_uuid
from aicd_core.tenancy import Tenant, mine
from aicd_core.tenancy.installations.models import Installation
from aicd_core.tenancy.repositories.models import Repository
from aicd_core.tenancy.repositories.values import InstallationOfRepository, RepositoryView


async def ensure_repository(session: WriteSession, tenant: Tenant, source: str) -> RepositoryId:
    """The id of the tenant's repository with this source, connected when it is new or was disconnected."""
    new = insert(Repository).values(id=new_uuid(), org_id=tenant.org_id, source=source)
    await session.execute(
        new.on_conflict_do_update(
            index_elements=["org_id", "source"],
            set_={"disconnected_at": None, "revision": Repository.revision + 1},
            where=mine(Repository, tenant) & Repository.disconnected_at.is_not(None),
        )
    )
    found = await session.execute(select(Repository.id).where(mine(Repository, tenant), Repository.source == source))
    return found.scalar_one()


async def get_source(session: ReadSession, tenant: Tenant, repository_id: RepositoryId) -> str | None:
    """Clone URL or path of one of the tenant's repositories; None when it has no such repository."""
    found = await session.execute(
        select(Repository.source).where(mine(Repository, tenant), Repository.id == repository_id)
    )
    return found.scalar_one_or_none()


async def insert_repository(
    session: WriteSession, tenant: Tenant, source: str, installation_id: InstallationId | None
) -> RepositoryView | None:
    """Connects a repository; None when the tenant has one with this source, disconnected or not."""
    new = insert(Repository).values(
        id=new_uuid(), org_id=tenant.org_id, source=source, installation_id=installation_id, enabled=True, revision=1
    )
    made = await session.execute(new.on_conflict_do_nothing(index_elements=["org_id", "source"]).returning(Repository))
    row = made.scalar_one_or_none()
    return _view(row) if row else None


async def get_repository(session: ReadSession, tenant: Tenant, repository_id: RepositoryId) -> RepositoryView | None:
    """One repository, disconnected or not; None when the tenant has no such repository."""
    query = select(Repository).where(mine(Repository, tenant), Repository.id == repository_id)
    row = (await session.execute(query)).scalar_one_or_none()
    return _view(row) if row else None


async def find_repository(session: ReadSession, tenant: Tenant, source: str) -> RepositoryView | None:
    """The tenant's repository with this source, disconnected or not."""
    query = select(Repository).where(mine(Repository, tenant), Repository.source == source)
    row = (await session.execute(query)).scalar_one_or_none()
    return _view(row) if row else None


async def find_spelled(session: ReadSession, tenant: Tenant, sources: Sequence[str]) -> RepositoryView | None:
    """The tenant's repository with one of these sources, in whatever case; a connected one before others."""
    spelled = func.lower(Repository.source).in_([source.lower() for source in sources])
    query = select(Repository).where(mine(Repository, tenant), spelled)
    order = (Repository.disconnected_at.is_not(None), Repository.id.desc())
    row = (await session.execute(query.order_by(*order).limit(1))).scalar_one_or_none()
    return _view(row) if row else None


async def find_by_number(session: ReadSession, tenant: Tenant, external_id: int) -> RepositoryView | None:
    """The tenant's repository with the code host's number, whatever it is called by now."""
    query = select(Repository).where(mine(Repository, tenant), Repository.external_id == external_id)
    row = (await session.execute(query)).scalar_one_or_none()
    return _view(row) if row else None


async def list_repositories(
    session: ReadSession, tenant: Tenant, page: PageRequest, *, disconnected: bool = False
) -> Page[RepositoryView]:
    """The tenant's repositories, newest first: the connected ones, or those that are not any more."""
    query = select(Repository).where(mine(Repository, tenant)).order_by(Repository.id.desc()).limit(page.limit + 1)
    gone = Repository.disconnected_at
    query = query.where(gone.is_not(None) if disconnected else gone.is_(None))
    if (after := page.after_uuid()) is not None:
        query = query.where(Repository.id < RepositoryId(after))
    rows = list((await session.execute(query)).scalars())
    shown = rows[: page.limit]
    more = len(rows) > page.limit
    return Page(tuple(map(_view, shown)), cursor_of(shown[-1].id) if more else None)


async def configure_repository(
    session: WriteSession,
    tenant: Tenant,
    repository_id: RepositoryId,
    revision: int,
    *,
    enabled: bool,
    installation_id: InstallationId | None,
) -> RepositoryView | None:
    """Replaces what can be configured; None when the repository is no longer at this revision."""
    values: dict[str, object] = {"enabled": enabled, "installation_id": installation_id}
    return await _edit(session, tenant, repository_id, revision, values)


async def set_budgets(
    session: WriteSession,
    tenant: Tenant,
    repository_id: RepositoryId,
    revision: int,
    *,
    issue_budget: int | None,
    monthly_budget: int | None,
) -> RepositoryView | None:
    """Replaces the repository's own budgets; None when the repository is no longer at this revision."""
    values: dict[str, object] = {"issue_budget": issue_budget, "monthly_budget": monthly_budget}
    return await _edit(session, tenant, repository_id, revision, values)


async def set_identity(
    session: WriteSession, tenant: Tenant, repository_id: RepositoryId, revision: int, *, source: str, external_id: int
) -> RepositoryView | None:
    """Writes down how the code host calls and numbers it; None when no longer at this revision."""
    values: dict[str, object] = {"source": source, "external_id": external_id}
    return await _edit(session, tenant, repository_id, revision, values)


async def set_source(
    session: WriteSession, tenant: Tenant, repository_id: RepositoryId, revision: int, source: str
) -> RepositoryView | None:
    """Replaces the clone URL; None when no longer at this revision."""
    return await _edit(session, tenant, repository_id, revision, {"source": source})


async def set_base_branch(
    session: WriteSession, tenant: Tenant, repository_id: RepositoryId, revision: int, base_branch: str | None
) -> RepositoryView | None:
    """Replaces the branch that jobs are based on; None when no longer at this revision."""
    return await _edit(session, tenant, repository_id, revision, {"base_branch": base_branch})


async def set_disconnected_at(
    session: WriteSession, tenant: Tenant, repository_id: RepositoryId, revision: int, disconnected_at: datetime | None
) -> RepositoryView | None:
    """Marks a repository as disconnected or, with None, as connected; None when no longer at this revision."""
    return await _edit(session, tenant, repository_id, revision, {"disconnected_at": disconnected_at})


async def find_installation_of(session: ReadSession, tenant: Tenant, source: str) -> InstallationOfRepository | None:
    """The installation that covers a connected repository of the tenant; None when it has none."""
    query = (
        select(Installation.host, Installation.external_id, Installation.suspended_at, Installation.removed_at)
        .join(Repository, Repository.installation_id == Installation.id)
        .where(mine(Installation, tenant), mine(Repository, tenant), Repository.source == source)
        .where(Repository.disconnected_at.is_(None))
    )
    row = (await session.execute(query)).first()
    return InstallationOfRepository(*row) if row else None


async def has_installation(session: ReadSession, tenant: Tenant, installation_id: InstallationId) -> bool:
    """Whether the tenant has this installation, and it was not removed."""
    query = select(Installation.id).where(
        mine(Installation, tenant), Installation.id == installation_id, Installation.removed_at.is_(None)
    )
    return (await session.execute(query)).first() is not None


async def list_sources_of(session: ReadSession, tenant: Tenant, installation_id: InstallationId) -> Sequence[str]:
    """The sources of the tenant's repositories that are connected through an installation."""
    query = select(Repository.source).where(
        mine(Repository, tenant), Repository.installation_id == installation_id, Repository.disconnected_at.is_(None)
    )
    return (await session.execute(query.order_by(Repository.id))).scalars().all()


async def _edit(
    session: WriteSession, tenant: Tenant, repository_id: RepositoryId, revision: int, values: dict[str, object]
) -> RepositoryView | None:
    changed = await session.execute(
        update(Repository)
        .where(mine(Repository, tenant), Repository.id == repository_id, Repository.revision == revision)
        .values(revision=revision + 1, **values)
        .returning(Repository)
        .execution_options(populate_existing=True)
    )
    row = changed.scalar_one_or_none()
    return _view(row) if row else None


def _view(row: Repository) -> RepositoryView:
    return RepositoryView(
        id=row.id,
        source=row.source,
        installation_id=row.installation_id,
        enabled=row.enabled,
        revision=row.revision,
        created_at=row.created_at,
        disconnected_at=row.disconnected_at,
        issue_budget=row.issue_budget,
        monthly_budget=row.monthly_budget,
        external_id=row.external_id,
        base_branch=row.base_branch,
    )
