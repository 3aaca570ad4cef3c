"""Knowing a repository again by its code host's number, whatever it is called by now."""

from dataclasses import dataclass

from aicd_core.db.sessions import WriteSession
from aicd_core.errors import ConflictError
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.installations import service as installations
from aicd_core.tenancy.installations.repository import find_installation
from aicd_core.tenancy.installations.values import InstallationFacts, InstallationView
from aicd_core.tenancy.organizations.service import require_live
from aicd_core.tenancy.repositories import repository
from aicd_core.tenancy.repositories.service import require_repository
from aicd_core.tenancy.repositories.values import RepositoryView
from aicd_core.text import require_text

BRANCH_MOST = 255
"""Characters of a branch's name."""


@dataclass(frozen=True)
class RepositoryFacts:
    """What a code host says of a repository.

    Args:
        host: the base URL of its API; `installation`: the number of the installation that covers the repository.
        external_id: the host's number of it.
        source: its clone URL.
    """

    host: str
    installation: int
    external_id: int
    source: str


async def follow(session: WriteSession, tenant: Tenant, actor: Actor, facts: RepositoryFacts) -> RepositoryView | None:
    """The tenant's repository, under the name that it has now: written down when new, renamed when it was renamed.

    Returns:
        None when the name, or the number, is another repository's.
    """
    known = await repository.find_by_number(session, tenant, facts.external_id)
    named = await repository.find_repository(session, tenant, facts.source)
    if known is None:
        if named is None or named.installation_id is None:
            await _connect(session, tenant, actor, facts, named)
            named = await repository.find_repository(session, tenant, facts.source)
        if named is None or named.external_id not in (None, facts.external_id):
            return None
        known = named
    elif named is not None and named.id != known.id:
        return None
    if (known.source, known.external_id) == (facts.source, facts.external_id):
        return known
    changed = await repository.set_identity(
        *(session, tenant, known.id, known.revision), source=facts.source, external_id=facts.external_id
    )
    if changed is not None and known.source != facts.source:
        detail = {"from": known.source, "to": facts.source}
        await record(session, tenant, actor, "repository.renamed", "repository", str(known.id), detail)
    return changed


async def _connect(
    session: WriteSession, tenant: Tenant, actor: Actor, facts: RepositoryFacts, named: RepositoryView | None
) -> None:
    """Connects what the installation covers; what was disconnected stays so."""
    installed = await find_installation(session, tenant, facts.host, facts.installation)
    if installed is not None and (named is None or named.disconnected_at is None):
        await installations.let_in(session, tenant, actor, installed.id, [facts.source])


async def set_base(
    session: WriteSession, tenant: Tenant, actor: Actor, found: RepositoryView, branch: str | None
) -> RepositoryView:
    """Says what jobs that the code host starts are based on; None: the repository's default branch.

    Raises:
        InvalidInputError: that is no branch's name.
        ConflictError: somebody else changed the repository first, or the organization is deleted.
    """
    if branch is not None:
        require_text(branch, "The branch's name", most=BRANCH_MOST, least=1)
    await require_live(session, tenant)
    changed = await repository.set_base_branch(session, tenant, found.id, found.revision, branch)
    if changed is None:
        now = await require_repository(session, tenant, found.id)
        raise ConflictError(f"Somebody else changed the repository {now.source} first. Do it again.", code="stale")
    detail = {"source": found.source, "base": branch}
    await record(session, tenant, actor, "repository.based", "repository", str(found.id), detail)
    return changed


async def rename_account(
    session: WriteSession,
    tenant: Tenant,
    actor: Actor,
    installed: InstallationView,
    account: str,
    before: str,
    after: str,
) -> None:
    """Follows the new name of an installation's account.

    Args:
        before, after: what the clone URLs of its repositories begin with.
    """
    facts = InstallationFacts(
        installed.host, installed.external_id, account, installed.suspended_at, installed.reported_at
    )
    await installations.follow(session, tenant, actor, facts)
    for source in await repository.list_sources_of(session, tenant, installed.id):
        known = await repository.find_repository(session, tenant, source)
        new = f"{after}{source[len(before) :]}"
        taken = await repository.find_repository(session, tenant, new)
        if known is None or taken is not None or not source.lower().startswith(before.lower()):
            continue
        await repository.set_source(session, tenant, known.id, known.revision, new)
        detail = {"from": source, "to": new}
        await record(session, tenant, actor, "repository.renamed", "repository", str(known.id), detail)
