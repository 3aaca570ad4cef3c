"""Connecting, configuring and disconnecting repositories."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from aicd_core.db.pages import Page, PageRequest
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from aicd_core.ids import InstallationId, RepositoryId
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import JSON, Actor
from aicd_core.tenancy.organizations.service import get_settings, require_budget, require_live
from aicd_core.tenancy.repositories import repository
from aicd_core.tenancy.repositories.values import InstallationOfRepository, RepositoryView
from aicd_core.text import require_text

SOURCE_MOST = 2000
"""Characters and bytes: a row of Postgres's index on sources must fit into a third of a page (2,704 bytes)."""


async def connect(
    session: WriteSession, tenant: Tenant, actor: Actor, source: str, *, installation_id: InstallationId | None = None
) -> RepositoryView:
    """Connects a repository; one that was disconnected is taken up again, with its history.

    Args:
        source: a clone URL, or an absolute path on the workers' machines.

    Raises:
        InvalidInputError: the source cannot be one.
        NotFoundError: the tenant has no such installation.
        ConflictError: it is connected already.
    """
    _require_source(source)
    await _require_installation(session, tenant, installation_id)
    made = await repository.insert_repository(session, tenant, source, installation_id)
    if made is None:
        known = await repository.find_repository(session, tenant, source)
        if known is None or known.disconnected_at is None:
            raise ConflictError(f"The repository {source} is connected already.", code="connected_already")
        back = await reconnect(session, tenant, actor, known.id, revision=known.revision)
        if installation_id == back.installation_id:
            return back
        return await configure(
            *(session, tenant, actor, back.id),
            revision=back.revision,
            enabled=back.enabled,
            installation_id=installation_id,
        )
    await _record(session, tenant, actor, "repository.connected", made)
    return made


async def take_up(session: WriteSession, tenant: Tenant, actor: Actor, source: str) -> RepositoryId:
    """The repository that a job names: connected, or connected again, if it is not.

    Raises:
        InvalidInputError: the source cannot be one.
        ConflictError: the repository is switched off, or the organization is deleted.
    """
    _require_source(source)
    await require_live(session, tenant)
    known = await repository.find_repository(session, tenant, source)
    if known is not None and not known.enabled:
        raise ConflictError(f"The repository {source} is switched off for jobs. Switch it on first.", code="disabled")
    repository_id = await repository.ensure_repository(session, tenant, source)
    if known is None or known.disconnected_at is not None:
        detail = {"source": source}
        await record(session, tenant, actor, "repository.connected", "repository", str(repository_id), detail)
    return repository_id


async def installation_of(session: ReadSession, tenant: Tenant, source: str, host: str) -> InstallationOfRepository:
    """The installation by which the tenant reaches a repository on a code host.

    Args:
        host: the base URL of the host's API.

    Raises:
        ForbiddenError: `not_installed`, `installation_removed`, `installation_suspended`.
    """
    found = await repository.find_installation_of(session, tenant, source)
    if found is None or found.host != host:
        raise ForbiddenError(
            f"No installation of the App that belongs to this organization covers {source}. Install the App on it.",
            code="not_installed",
        )
    if found.removed_at is not None:
        raise ForbiddenError(
            f"The App's installation that covered {source} was removed. Install the App again.",
            code="installation_removed",
        )
    if found.suspended_at is not None:
        raise ForbiddenError(
            f"The App's installation that covers {source} is suspended. Whoever owns the account can take it up again.",
            code="installation_suspended",
        )
    return found


async def require_repository(session: ReadSession, tenant: Tenant, repository_id: RepositoryId) -> RepositoryView:
    """One repository, disconnected or not.

    Raises:
        NotFoundError: the tenant has no such repository.
    """
    found = await repository.get_repository(session, tenant, repository_id)
    if found is None:
        raise NotFoundError(f"There is no repository {repository_id}.", code="no_such_repository")
    return found


async def require_spelled(session: ReadSession, tenant: Tenant, sources: Sequence[str]) -> RepositoryView:
    """The repository with one of these sources, which are spellings of one, in whatever case; disconnected or not.

    Raises:
        NotFoundError: the tenant has no such repository.
    """
    found = await repository.find_spelled(session, tenant, sources)
    if found is None:
        raise NotFoundError(f"There is no repository {sources[0]} here. Connect it first.", code="no_such_repository")
    return found


async def list_repositories(
    session: ReadSession, tenant: Tenant, page: PageRequest, *, disconnected: bool
) -> Page[RepositoryView]:
    """The tenant's repositories, newest first: the connected ones, or those that are not any more."""
    return await repository.list_repositories(session, tenant, page, disconnected=disconnected)


async def configure(
    session: WriteSession,
    tenant: Tenant,
    actor: Actor,
    repository_id: RepositoryId,
    *,
    revision: int,
    enabled: bool,
    installation_id: InstallationId | None,
) -> RepositoryView:
    """Replaces what can be configured: whether new jobs may run on it, and where its code host lets us in.

    Raises:
        NotFoundError: the tenant has no such repository or installation.
        ConflictError: it is no longer at this revision.
    """
    before = await require_repository(session, tenant, repository_id)
    if installation_id != before.installation_id:
        await _require_installation(session, tenant, installation_id)
    changed = await repository.configure_repository(
        session, tenant, repository_id, revision, enabled=enabled, installation_id=installation_id
    )
    if changed is None:
        raise _stale(before)
    detail = {"enabled": enabled, "installation": None if installation_id is None else str(installation_id)}
    await _record(session, tenant, actor, "repository.configured", changed, detail)
    return changed


async def limit(
    session: WriteSession,
    tenant: Tenant,
    actor: Actor,
    repository_id: RepositoryId,
    *,
    revision: int,
    issue_budget: int | None,
    monthly_budget: int | None,
) -> RepositoryView:
    """Replaces the repository's own budgets, in micro-USD: for each issue, and for the repository in a month.

    Raises:
        NotFoundError: the tenant has no such repository.
        InvalidInputError: code `bad_budget`, or `looser_budget`: the organization allows less already.
        ConflictError: it is no longer at this revision.
    """
    before = await require_repository(session, tenant, repository_id)
    allowed = (await get_settings(session, tenant)).values
    _require_tighter("issue", issue_budget, allowed.issue_budget)
    _require_tighter("repository's month", monthly_budget, allowed.repository_budget)
    wanted = {"issue_budget": issue_budget, "monthly_budget": monthly_budget}
    changed = await repository.set_budgets(session, tenant, repository_id, revision, **wanted)
    if changed is None:
        raise _stale(before)
    await _record(session, tenant, actor, "repository.limited", changed, wanted)
    return changed


def _require_tighter(what: str, own: int | None, organizations: int | None) -> None:
    require_budget(what, own)
    if own is not None and organizations is not None and own > organizations:
        raise InvalidInputError(
            f"A repository can only tighten what its organization allows: the budget of a {what} is {organizations:,} "
            f"micro-USD there, less than {own:,}. Raise the organization's first, or give the repository less.",
            code="looser_budget",
        )


async def disconnect(
    session: WriteSession, tenant: Tenant, actor: Actor, repository_id: RepositoryId, *, revision: int, now: datetime
) -> RepositoryView:
    """Takes a repository out of use; its jobs stay on the record, and `reconnect` brings it back.

    Raises:
        NotFoundError: the tenant has no such repository.
        ConflictError: it is disconnected already, or no longer at this revision.
    """
    before = await require_repository(session, tenant, repository_id)
    if before.disconnected_at is not None:
        raise ConflictError(f"The repository {before.source} is disconnected already.", code="disconnected_already")
    return await _mark(session, tenant, actor, before, revision, now)


async def reconnect(
    session: WriteSession, tenant: Tenant, actor: Actor, repository_id: RepositoryId, *, revision: int
) -> RepositoryView:
    """Takes a disconnected repository into use again.

    Raises:
        NotFoundError: the tenant has no such repository.
        ConflictError: it is connected, or no longer at this revision.
    """
    before = await require_repository(session, tenant, repository_id)
    if before.disconnected_at is None:
        raise ConflictError(f"The repository {before.source} is connected already.", code="connected_already")
    return await _mark(session, tenant, actor, before, revision, None)


async def _mark(
    session: WriteSession,
    tenant: Tenant,
    actor: Actor,
    before: RepositoryView,
    revision: int,
    disconnected_at: datetime | None,
) -> RepositoryView:
    changed = await repository.set_disconnected_at(session, tenant, before.id, revision, disconnected_at)
    if changed is None:
        raise _stale(before)
    action = "repository.disconnected" if disconnected_at else "repository.reconnected"
    await _record(session, tenant, actor, action, changed)
    return changed


async def _record(
    session: WriteSession,
    tenant: Tenant,
    actor: Actor,
    action: str,
    what: RepositoryView,
    detail: Mapping[str, JSON] | None = None,
) -> None:
    whole = {"source": what.source, **(detail or {})}
    await record(session, tenant, actor, action, "repository", str(what.id), whole)


async def _require_installation(session: WriteSession, tenant: Tenant, installation_id: InstallationId | None) -> None:
    if installation_id is not None and not await repository.has_installation(session, tenant, installation_id):
        raise NotFoundError(
            f"There is no installation {installation_id}. Install the app on the code host first.",
            code="no_such_installation",
        )


def _require_source(source: str) -> None:
    require_text(source, "The repository's source", most=SOURCE_MOST, least=1)
    if len(source.encode()) > SOURCE_MOST:
        raise InvalidInputError(f"The repository's source is longer than {SOURCE_MOST:,} bytes.", code="bad_length")
    if source != source.strip() or not source.isprintable():
        raise InvalidInputError(
            "The repository's source holds blanks at its ends or invisible characters. Give its clone URL or path.",
            code="bad_source",
        )


def _stale(what: RepositoryView) -> ConflictError:
    return ConflictError(
        f"Somebody else changed the repository {what.source} first. Read it again and decide anew.",
        code="stale_revision",
    )
