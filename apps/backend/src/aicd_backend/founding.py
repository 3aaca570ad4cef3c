"""Organizations that people make for themselves."""

from aicd_backend.callers import Caller
from aicd_backend.problems import RefusedError
from aicd_core.ids import OrgId, new_uuid
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.accounts.service import get_user
from aicd_core.tenancy.idempotency.service import begin, carry_out
from aicd_core.tenancy.memberships.service import add_member, count_ownerships, hold_founder
from aicd_core.tenancy.organizations.service import found_organization
from aicd_core.tenancy.organizations.values import OrganizationView
from aicd_core.tenancy.permissions import EVERYTHING, Role


async def found(caller: Caller, slug: str, name: str) -> OrganizationView:
    """A new organization that the person who asks owns; all of it is made in one transaction, or nothing.

    Raises:
        RefusedError: 403 `no_founding`, 409 `too_many_organizations`.
        InvalidInputError: the slug or the name cannot be used.
        ConflictError: `slug_taken`.
    """
    async with caller.stores.database.accounts() as accounts:
        user = await get_user(accounts, caller.user_id)
    tenant = Tenant(OrgId(new_uuid()))
    async with caller.stores.database.write(tenant) as session:
        await hold_founder(session, user.id)
        await _require_room(caller)
        made = await found_organization(session, tenant, caller.actor, slug, name)
        if caller.held is not None:
            await begin(session, tenant, caller.held, caller.now)
            await carry_out(session, tenant, caller.held)
        await add_member(session, tenant, caller.actor, EVERYTHING, user, Role.OWNER)
    return made


async def _require_room(caller: Caller) -> None:
    most = caller.stores.settings.organizations_per_person
    if most == 0:
        raise RefusedError(
            403, "no_founding", "On this server nobody makes organizations but its operator. Ask to be invited to one."
        )
    async with caller.stores.system.read() as system:
        owned = await count_ownerships(system, caller.user_id)
    if owned >= most:
        raise RefusedError(
            409,
            "too_many_organizations",
            f"You own {owned} organizations, deleted ones too, and may make no more than {most}. Ask the server's "
            "operator (AICD_ORGANIZATIONS_PER_PERSON).",
        )
