"""Making, renaming, deleting and setting up organizations."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from aicd_core.db.sessions import ReadSession, SystemReadSession, SystemSession, WriteSession
from aicd_core.errors import ConflictError, InvalidInputError, NotFoundError
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import JSON, NO_DETAIL, Actor
from aicd_core.tenancy.organizations import repository
from aicd_core.tenancy.organizations.values import OrganizationView, SettingsValues, SettingsView
from aicd_core.tenancy.triggers import LEAST_TRUSTED, RANK
from aicd_core.text import require_text

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
MAX_BUDGET = 10**15
"""Micro-USD: a thousand million dollars; more is a slip of the keyboard."""
MAX_CONCURRENCY = 1000
MAX_BOTS = 100
BOT_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(\[bot\])?")


async def create_organization(session: SystemSession, slug: str, name: str) -> Tenant:
    """Makes an organization; `set_up_organization` in the new tenant's own transaction comes next.

    Two transactions, since the system role, which alone sees which slugs are taken, writes neither settings nor the
    audit log. An organization left between the two works, with the default settings.

    Raises:
        InvalidInputError: the slug or the name cannot be used.
        ConflictError: the slug is taken, perhaps by a deleted organization.
    """
    _require_slug(slug)
    _require_name(name)
    tenant = await repository.insert_organization(session, slug, name)
    if tenant is None:
        raise _taken(slug)
    return tenant


async def found_organization(
    session: WriteSession, tenant: Tenant, actor: Actor, slug: str, name: str
) -> OrganizationView:
    """Makes an organization of an id that nobody has, with its settings, all in this one transaction.

    Raises:
        InvalidInputError, ConflictError: as `create_organization`.
    """
    _require_slug(slug)
    _require_name(name)
    if not await repository.found_organization(session, tenant, slug, name):
        raise _taken(slug)
    await set_up_organization(session, tenant, actor)
    return await require_organization(session, tenant)


async def set_up_organization(session: WriteSession, tenant: Tenant, actor: Actor) -> None:
    """Writes a new organization's first settings and audit entry; a second time it changes nothing."""
    if await repository.insert_settings(session, tenant, SettingsValues()):
        await _record(session, tenant, actor, "organization.created")


async def ensure_organization(session: SystemSession, slug: str) -> Tenant:
    """The tenant with this slug, made when there is none; it begins with the default settings.

    Raises:
        InvalidInputError: the slug cannot be used.
    """
    _require_slug(slug)
    tenant = await repository.insert_organization(session, slug, slug) or await repository.find_by_slug(session, slug)
    if tenant is None:
        raise ConflictError(f"The organization {slug} was removed at this very moment. Try again.")
    return tenant


async def require_by_slug(session: SystemReadSession, slug: str) -> Tenant:
    """The tenant with this slug, deleted or not.

    Raises:
        NotFoundError: there is none.
    """
    tenant = await repository.find_by_slug(session, slug) if SLUG.fullmatch(slug) else None
    if tenant is None:
        raise NotFoundError(f"There is no organization {slug!r}. Look at the spelling.", code="no_such_organization")
    return tenant


async def require_live(session: ReadSession, tenant: Tenant) -> OrganizationView:
    """The organization, if new work may begin in it.

    Raises:
        ConflictError: code `organization_deleted`.
        NotFoundError: as `require_organization`.
    """
    found = await require_organization(session, tenant)
    if found.deleted_at is not None:
        raise ConflictError(
            f"The organization {found.slug} is deleted, so no work begins in it. Restore it first.",
            code="organization_deleted",
        )
    return found


async def require_organization(session: ReadSession, tenant: Tenant) -> OrganizationView:
    """The tenant's organization, deleted or not.

    Raises:
        NotFoundError: it was erased.
    """
    found = await repository.get_organization(session, tenant)
    if found is None:
        raise NotFoundError("This organization does not exist any more.", code="no_such_organization")
    return found


async def rename(session: WriteSession, tenant: Tenant, actor: Actor, name: str, *, revision: int) -> OrganizationView:
    """Gives the organization another name.

    Raises:
        InvalidInputError: the name cannot be used.
        ConflictError: it is no longer at this revision.
    """
    _require_name(name)
    before = await require_organization(session, tenant)
    renamed = await repository.rename_organization(session, tenant, revision, name)
    if renamed is None:
        raise _stale("organization")
    await _record(session, tenant, actor, "organization.renamed", {"from": before.name, "to": name})
    return renamed


async def delete(
    session: WriteSession, tenant: Tenant, actor: Actor, *, revision: int, now: datetime
) -> OrganizationView:
    """Deletes the organization so that it can still be restored; its slug stays taken.

    Raises:
        ConflictError: it is deleted already, or no longer at this revision.
    """
    before = await require_organization(session, tenant)
    if before.deleted_at is not None:
        raise ConflictError(f"The organization {before.slug} is deleted already.", code="deleted_already")
    return await _set_deleted(session, tenant, actor, revision, now)


async def restore(session: WriteSession, tenant: Tenant, actor: Actor, *, revision: int) -> OrganizationView:
    """Takes a deletion back.

    Raises:
        ConflictError: it is not deleted, or no longer at this revision.
    """
    before = await require_organization(session, tenant)
    if before.deleted_at is None:
        raise ConflictError(f"The organization {before.slug} is not deleted.", code="not_deleted")
    return await _set_deleted(session, tenant, actor, revision, None)


async def get_settings(session: ReadSession, tenant: Tenant) -> SettingsView:
    """The organization's settings; the defaults at revision 0 when it has none of its own."""
    return await repository.get_settings(session, tenant)


async def edit_settings(
    session: WriteSession, tenant: Tenant, actor: Actor, values: SettingsValues, *, revision: int
) -> SettingsView:
    """Replaces the settings.

    Args:
        revision: the one that was read; 0 when that were the defaults.

    Raises:
        InvalidInputError: a value is out of bounds.
        ConflictError: they are no longer at this revision.
    """
    _require_settings(values)
    before = await repository.get_settings(session, tenant)
    if revision == 0:
        done = await repository.insert_settings(session, tenant, values)
    else:
        done = await repository.update_settings(session, tenant, revision, values)
    if not done:
        raise _stale("organization's settings")
    old, new = asdict(before.values), asdict(values)
    changed: Mapping[str, JSON] = {key: {"from": old[key], "to": new[key]} for key in new if old[key] != new[key]}
    await _record(session, tenant, actor, "organization.settings_edited", changed)
    return SettingsView(values, revision + 1)


async def _set_deleted(
    session: WriteSession, tenant: Tenant, actor: Actor, revision: int, deleted_at: datetime | None
) -> OrganizationView:
    changed = await repository.set_deleted_at(session, tenant, revision, deleted_at)
    if changed is None:
        raise _stale("organization")
    await _record(session, tenant, actor, "organization.deleted" if deleted_at else "organization.restored")
    return changed


async def _record(
    session: WriteSession, tenant: Tenant, actor: Actor, action: str, detail: Mapping[str, JSON] = NO_DETAIL
) -> None:
    await record(session, tenant, actor, action, "organization", str(tenant.org_id), detail)


def _require_slug(slug: str) -> None:
    if not SLUG.fullmatch(slug):
        raise InvalidInputError(
            f"{slug[:80]!r} cannot be an organization's slug: 1 to 63 lower-case letters a-z, digits and hyphens, "
            "the first one no hyphen.",
            code="bad_slug",
        )


def _require_name(name: str) -> None:
    require_text(name, "The organization's name", most=200, least=1)
    if not name.strip():
        raise InvalidInputError("The organization's name is blank. Give it one.", code="blank_name")


def _require_settings(values: SettingsValues) -> None:
    require_text(values.agent, "The agent's name", most=100, least=1)
    if values.model is not None:
        require_text(values.model, "The model's name", most=200, least=1)
    require_budget("job", values.job_budget)
    require_budget("issue", values.issue_budget)
    require_budget("repository's month", values.repository_budget)
    require_budget("month", values.monthly_budget)
    if not 1 <= values.max_concurrent_jobs <= MAX_CONCURRENCY:
        raise InvalidInputError(
            f"{values.max_concurrent_jobs} jobs at once are not possible; it may be 1 to {MAX_CONCURRENCY}.",
            code="bad_concurrency",
        )
    _require_trigger_rules(values)


def require_budget(what: str, budget: int | None) -> None:
    """Does nothing when a budget, in micro-USD, can be one.

    Raises:
        InvalidInputError: it cannot.
    """
    if budget is not None and not 0 <= budget <= MAX_BUDGET:
        raise InvalidInputError(
            f"The budget of a {what} is {budget / 1_000_000:,.6f} US dollars; it may be 0 to "
            f"{MAX_BUDGET // 1_000_000:,} US dollars, or none.",
            code="bad_budget",
        )


def _require_trigger_rules(values: SettingsValues) -> None:
    logins = [login.lower() for login in values.allowed_bots]
    wrong = next((login for login in values.allowed_bots if not BOT_LOGIN.fullmatch(login)), None)
    if wrong is not None:
        raise InvalidInputError(
            f"{wrong[:80]!r} is not the login of a bot, such as 'renovate[bot]'. Write it as the code host does.",
            code="bad_bot",
        )
    if len(logins) > MAX_BOTS or len(set(logins)) != len(logins):
        raise InvalidInputError(
            f"At most {MAX_BOTS} bots may start work, each listed once. Take the others out.", code="bad_bots"
        )
    if RANK[values.minimum_permission] < RANK[LEAST_TRUSTED]:
        raise InvalidInputError(
            f"The permission {values.minimum_permission.value!r} is anybody's on a public repository. Ask for "
            f"{LEAST_TRUSTED.value!r} at the least.",
            code="bad_permission",
        )


def _taken(slug: str) -> ConflictError:
    return ConflictError(f"An organization {slug} exists already. Choose another slug.", code="slug_taken")


def _stale(what: str) -> ConflictError:
    return ConflictError(
        f"Somebody else changed the {what} first. Read it again and decide anew.", code="stale_revision"
    )
