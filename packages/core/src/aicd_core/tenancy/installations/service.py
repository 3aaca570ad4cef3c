"""Following what a code host says of our app's installations. Whatever is said twice, or too late, changes nothing."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from aicd_core.db.pages import Page, PageRequest
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.errors import NotFoundError
from aicd_core.ids import InstallationId
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import JSON, Actor
from aicd_core.tenancy.installations import repository
from aicd_core.tenancy.installations.values import InstallationFacts, InstallationView
from aicd_core.tenancy.repositories import repository as repositories
from aicd_core.tenancy.repositories import service as connecting


async def follow(
    session: WriteSession, tenant: Tenant, actor: Actor, facts: InstallationFacts
) -> InstallationView | None:
    """The tenant's installation as the host describes it, written down when it is new or changed.

    Returns:
        None when it was removed, or is another tenant's: the host gives no number twice.
    """
    known = await repository.find_installation(session, tenant, facts.host, facts.external_id)
    if known is None:
        made = await repository.insert_installation(session, tenant, facts, None)
        if made is not None:
            await _record(session, tenant, actor, "installation.created", facts)
            return made
        known = await repository.find_installation(session, tenant, facts.host, facts.external_id)
    if known is None or known.removed_at is not None:
        return None
    changed = await repository.update_installation(session, tenant, known.id, facts)
    if changed and bool(known.suspended_at) != bool(facts.suspended_at):
        action = "installation.suspended" if facts.suspended_at else "installation.unsuspended"
        await _record(session, tenant, actor, action, facts)
    return await repository.find_installation(session, tenant, facts.host, facts.external_id)


async def list_installations(session: ReadSession, tenant: Tenant, page: PageRequest) -> Page[InstallationView]:
    """The tenant's installations, removed ones too, newest first."""
    return await repository.list_installations(session, tenant, page)


async def remove(session: WriteSession, tenant: Tenant, actor: Actor, facts: InstallationFacts, now: datetime) -> bool:
    """Marks an installation as removed and disconnects its repositories; False when it was so already.

    One that was not known yet is written down as removed, so that word of its beginning can come late.
    """
    known = await repository.find_installation(session, tenant, facts.host, facts.external_id)
    if known is None:
        done = await repository.insert_installation(session, tenant, facts, now) is not None
    else:
        done = await repository.set_removed(session, tenant, known.id, now)
    if done:
        await _record(session, tenant, actor, "installation.removed", facts)
    if known is not None:
        sources = await repositories.list_sources_of(session, tenant, known.id)
        await shut_out(session, tenant, actor, known.id, sources, now)
    return done


async def require_installation(
    session: ReadSession, tenant: Tenant, installation_id: InstallationId
) -> InstallationView:
    """One installation, removed or not.

    Raises:
        NotFoundError: `no_such_installation`.
    """
    found = await repository.get_installation(session, tenant, installation_id)
    if found is None:
        raise NotFoundError(f"There is no installation {installation_id}.", code="no_such_installation")
    return found


async def disconnect(
    session: WriteSession, tenant: Tenant, actor: Actor, installation_id: InstallationId, now: datetime
) -> InstallationView:
    """Lets go of an installation for good, as if the host had removed it; one that is removed stays as it is.

    The App stays on the code host until its account's owner takes it off; what the host says of it is ignored from now
    on, and a new installation there has a new number.

    Raises:
        NotFoundError: `no_such_installation`.
    """
    known = await require_installation(session, tenant, installation_id)
    await remove(session, tenant, actor, InstallationFacts(known.host, known.external_id, known.account), now)
    return await require_installation(session, tenant, installation_id)


async def let_in(
    session: WriteSession, tenant: Tenant, actor: Actor, installation: InstallationId, sources: Iterable[str]
) -> None:
    """Connects repositories through an installation; one that a person switched off stays so."""
    for source in sources:
        known = await repositories.find_repository(session, tenant, source)
        if known is None or known.disconnected_at is not None:
            await connecting.connect(session, tenant, actor, source, installation_id=installation)
        elif known.installation_id != installation:
            await connecting.configure(
                *(session, tenant, actor, known.id),
                revision=known.revision,
                enabled=known.enabled,
                installation_id=installation,
            )


async def shut_out(
    session: WriteSession,
    tenant: Tenant,
    actor: Actor,
    installation: InstallationId,
    sources: Iterable[str],
    now: datetime,
) -> None:
    """Disconnects those of the repositories that are connected through this installation."""
    for source in sources:
        known = await repositories.find_repository(session, tenant, source)
        if known and known.disconnected_at is None and known.installation_id == installation:
            await connecting.disconnect(session, tenant, actor, known.id, revision=known.revision, now=now)


async def _record(session: WriteSession, tenant: Tenant, actor: Actor, action: str, facts: InstallationFacts) -> None:
    detail: Mapping[str, JSON] = {"host": facts.host, "account": facts.account}
    await record(session, tenant, actor, action, "installation", str(facts.external_id), detail)
