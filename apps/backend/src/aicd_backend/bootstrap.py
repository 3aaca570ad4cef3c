"""How the first person and the first key come in, before anybody can let anybody in."""

from datetime import UTC, datetime
from pathlib import Path

from aicd_cli.runtime import open_store
from aicd_core.db.database import Database
from aicd_core.db.pages import PageRequest
from aicd_core.db.sessions import WriteSession
from aicd_core.errors import ConflictError
from aicd_core.settings import Settings
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.accounts.service import ensure_user
from aicd_core.tenancy.accounts.values import UserFields
from aicd_core.tenancy.api_keys.service import create_key, list_keys
from aicd_core.tenancy.api_keys.values import KeySpec
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.memberships.service import add_member, has_owner, list_members
from aicd_core.tenancy.organizations.service import (
    ensure_organization,
    require_by_slug,
    require_live,
    set_up_organization,
)
from aicd_core.tenancy.permissions import EVERYTHING, Permission, Role
from aicd_core.tenancy.tokens import Token

OPERATOR = Actor(ActorKind.SYSTEM, "bootstrap")
ALL_SCOPES = frozenset(permission.value for permission in Permission)


async def bootstrap(data_dir: Path | None, slug: str, email: str, name: str) -> Token:
    """Makes the first owner of an organization, and a key that may do everything there; both are made when missing.

    Raises:
        ConflictError: `owner_exists`; `organization_deleted`.
        InvalidInputError: a slug, an address or a name that cannot be one.
    """
    async with open_store(Settings.load(data_dir=data_dir)) as store:
        async with store.system.write() as system:
            tenant = await ensure_organization(system, slug)
        async with store.database.write(tenant) as session:
            await set_up_organization(session, tenant, OPERATOR)
            await _refuse_owned(session, tenant, slug)
        async with store.database.accounts() as accounts:
            user = await ensure_user(accounts, UserFields(email, True, name))
        async with store.database.write(tenant) as session:
            await _refuse_owned(session, tenant, slug)
            await add_member(session, tenant, OPERATOR, EVERYTHING, user, Role.OWNER)
            return await _new_key(session, tenant, "bootstrap", datetime.now(UTC))


async def make_another_key(data_dir: Path | None, slug: str) -> Token:
    """A key that may do everything in an organization whose keys are lost; those stay as they are.

    Raises:
        NotFoundError: `no_such_organization`.
        ConflictError: `organization_deleted`.
    """
    async with open_store(Settings.load(data_dir=data_dir)) as store:
        async with store.system.read() as system:
            tenant = await require_by_slug(system, slug)
        async with store.database.write(tenant) as session:
            await require_live(session, tenant)
            return await _new_key(session, tenant, "operator", datetime.now(UTC))


async def _new_key(session: WriteSession, tenant: Tenant, name: str, now: datetime) -> Token:
    """A key that may do everything there, for ever."""
    return (await create_key(session, tenant, OPERATOR, EVERYTHING, KeySpec(name, ALL_SCOPES), now)).token


async def _refuse_owned(session: WriteSession, tenant: Tenant, slug: str) -> None:
    await require_live(session, tenant)
    if await has_owner(session, tenant):
        raise ConflictError(
            f"{slug} has an owner already, who can invite others. Nothing was changed. If its key is lost, make "
            f"another:  aicd admin key --org {slug}",
            code="owner_exists",
        )


async def make_first_key(database: Database, tenant: Tenant, now: datetime) -> Token | None:
    """A key that may do everything in an organization that has had no key and no member yet; else None."""
    async with database.write(tenant) as session:
        one = PageRequest(limit=1)
        if (await list_keys(session, tenant, one)).items or (await list_members(session, tenant, one)).items:
            return None
        return await _new_key(session, tenant, "first run", now)
