"""Rules of who belongs to an organization, as what."""

from collections.abc import Sequence

from aicd_core.db.pages import Page, PageRequest
from aicd_core.db.sessions import ReadSession, SystemReadSession, WriteSession
from aicd_core.errors import ConflictError, NotFoundError
from aicd_core.ids import MembershipId, UserId
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.accounts.values import UserView
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.memberships import repository
from aicd_core.tenancy.memberships.values import MemberView, OrganizationOfUser
from aicd_core.tenancy.permissions import Permission, Role, check_give, powers_of_role


async def add_member(
    session: WriteSession, tenant: Tenant, actor: Actor, powers: frozenset[Permission], user: UserView, role: Role
) -> MemberView:
    """Makes a user a member without asking him: for founding an organization. Others are invited.

    Args:
        powers: all that the actor may do here; nobody gives a role that can do more.
        user: as the accounts' services gave him out.

    Raises:
        ForbiddenError: `role_too_high`.
        NotFoundError: `user_not_found`.
        ConflictError: `already_member`.
    """
    _may_give(powers, role)
    return await join(session, tenant, actor, user, role)


async def join(session: WriteSession, tenant: Tenant, actor: Actor, user: UserView, role: Role) -> MemberView:
    """Makes a user a member with a role that somebody who might has promised him; raises as `add_member`."""
    if user.deleted_at is not None:
        raise NotFoundError(f"There is no user {user.id}.", code="user_not_found")
    membership_id = await repository.insert_member(session, tenant, user.id, role)
    if membership_id is None:
        raise ConflictError(f"The user {user.id} is a member already. Change the role instead.", code="already_member")
    detail = {"user_id": str(user.id), "role": role.value}
    await record(session, tenant, actor, "member.added", "membership", str(membership_id), detail)
    return await get_member(session, tenant, membership_id)


async def get_member(session: ReadSession, tenant: Tenant, membership_id: MembershipId) -> MemberView:
    """One member.

    Raises:
        NotFoundError: `member_not_found`.
    """
    member = await repository.get_member(session, tenant, membership_id)
    if member is None:
        raise NotFoundError(f"There is no member {membership_id} here.", code="member_not_found")
    return member


async def find_member(session: ReadSession, tenant: Tenant, user_id: UserId) -> MemberView | None:
    """A user's place in the organization, None when he has none: what he may do here is `powers_of_role` of it."""
    return await repository.find_member(session, tenant, user_id)


async def has_owner(session: WriteSession, tenant: Tenant) -> bool:
    """Whether the organization has an owner whose account is not deleted; their rows are held until the end."""
    return bool(await repository.lock_owners(session, tenant))


async def list_members(session: ReadSession, tenant: Tenant, page: PageRequest) -> Page[MemberView]:
    """The members with their names, newest first."""
    return await repository.list_members(session, tenant, page)


async def change_role(
    session: WriteSession,
    tenant: Tenant,
    actor: Actor,
    powers: frozenset[Permission],
    membership_id: MembershipId,
    revision: int,
    role: Role,
) -> MemberView:
    """Gives a member another role.

    Args:
        powers: all that the actor may do here: he must have what the old role and the new one carry.
        revision: of the member as the actor saw him.

    Raises:
        ForbiddenError: `role_too_high`.
        ConflictError: `last_owner` or `stale_revision`.
        NotFoundError: `member_not_found`.
    """
    member = await get_member(session, tenant, membership_id)
    _may_give(powers, member.role)
    _may_give(powers, role)
    if member.role is Role.OWNER and role is not Role.OWNER:
        await _keep_an_owner(session, tenant, member)
    if not await repository.set_role(session, tenant, membership_id, revision, role):
        raise _stale(member)
    detail = {"user_id": str(member.user_id), "from": member.role.value, "to": role.value}
    await record(session, tenant, actor, "member.role_changed", "membership", str(membership_id), detail)
    return await get_member(session, tenant, membership_id)


async def remove_member(
    session: WriteSession, tenant: Tenant, actor: Actor, powers: frozenset[Permission], membership_id: MembershipId
) -> None:
    """Takes a member out of the organization. Everybody may take himself out, but the last owner.

    Raises:
        ForbiddenError: `role_too_high`: the member can do what the actor cannot.
        ConflictError: `last_owner`, or `stale_revision` when he was changed at this very moment.
        NotFoundError: `member_not_found`.
    """
    member = await get_member(session, tenant, membership_id)
    if actor != Actor(ActorKind.USER, str(member.user_id)):
        _may_give(powers, member.role)
    if member.role is Role.OWNER:
        await _keep_an_owner(session, tenant, member)
    if not await repository.delete_member(session, tenant, membership_id, member.revision):
        raise _stale(member)
    detail = {"user_id": str(member.user_id), "role": member.role.value}
    await record(session, tenant, actor, "member.removed", "membership", str(membership_id), detail)


async def organizations_of(session: SystemReadSession, user_id: UserId) -> Sequence[OrganizationOfUser]:
    """The organizations that a user belongs to; deleted ones are left out."""
    return await repository.organizations_of(session, user_id)


async def hold_founder(session: WriteSession, user_id: UserId) -> None:
    """Lets a user found one organization at a time: what is counted then still holds when the transaction ends."""
    await repository.hold_founder(session, user_id)


async def count_ownerships(session: SystemReadSession, user_id: UserId) -> int:
    """How many organizations a user owns, deleted ones too, whose slugs stay taken."""
    return await repository.count_ownerships(session, user_id)


async def sole_ownerships(session: SystemReadSession, user_id: UserId) -> Sequence[OrganizationOfUser]:
    """The organizations that would be left without an owner if this user were deleted."""
    return await repository.sole_ownerships(session, user_id)


async def _keep_an_owner(session: WriteSession, tenant: Tenant, leaving: MemberView) -> None:
    owners = await repository.lock_owners(session, tenant)
    if not set(owners) - {leaving.id}:
        raise ConflictError(
            "This is the organization's last owner. Make another member an owner first.", code="last_owner"
        )


def _may_give(powers: frozenset[Permission], role: Role) -> None:
    check_give(powers, powers_of_role(role), f"The role {role.value}").require("role_too_high")


def _stale(member: MemberView) -> ConflictError:
    return ConflictError(
        f"The member {member.id} was changed meanwhile. Read him again, then repeat what you wanted.",
        code="stale_revision",
    )
