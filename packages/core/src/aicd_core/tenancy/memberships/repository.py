"""SQL of memberships."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from aicd_core.db.pages import Page, PageRequest, cursor_of
from aicd_core.db.sessions import ReadSession, SystemReadSession, WriteSession
from aicd_core.ids import MembershipId, UserId, new_uuid
from aicd_core.tenancy import Tenant, mine
from aicd_core.tenancy.accounts.models import User
from aicd_core.tenancy.memberships.models import Membership
from aicd_core.tenancy.memberships.values import MemberView, OrganizationOfUser
from aicd_core.tenancy.organizations.models import Organization
from aicd_core.tenancy.permissions import Role


async def insert_member(session: WriteSession, tenant: Tenant, user_id: UserId, role: Role) -> MembershipId | None:
    """Makes a user a member; None when he is one already."""
    new = insert(Membership).values(id=new_uuid(), org_id=tenant.org_id, user_id=user_id, role=role, revision=1)
    made = await session.execute(new.on_conflict_do_nothing().returning(Membership.id))
    return made.scalar_one_or_none()


async def get_member(session: ReadSession, tenant: Tenant, membership_id: MembershipId) -> MemberView | None:
    """One member, or None when the tenant has no such member."""
    return await _one(session, _members(tenant).where(Membership.id == membership_id))


async def find_member(session: ReadSession, tenant: Tenant, user_id: UserId) -> MemberView | None:
    """The place of a user in the tenant, or None."""
    return await _one(session, _members(tenant).where(Membership.user_id == user_id))


async def find_member_by_email(session: ReadSession, tenant: Tenant, email: str) -> MemberView | None:
    """The member, his account not deleted, with an address, whatever its case; or None."""
    same = func.lower(User.email) == func.lower(email)
    return await _one(session, _members(tenant).where(same, User.deleted_at.is_(None)))


async def list_members(session: ReadSession, tenant: Tenant, page: PageRequest) -> Page[MemberView]:
    """The members, newest first."""
    query, after = _members(tenant), page.after_uuid()
    if after is not None:
        query = query.where(Membership.id < after)
    rows = (await session.execute(query.order_by(Membership.id.desc()).limit(page.limit + 1))).all()
    shown = tuple(_view(*row) for row in rows[: page.limit])
    return Page(shown, cursor_of(shown[-1].id) if len(rows) > page.limit else None)


async def lock_owners(session: WriteSession, tenant: Tenant) -> Sequence[MembershipId]:
    """Holds the rows of all owners until the transaction ends; those whose accounts are not deleted.

    In the order of their ids, so that two who do this wait for, and do not block, each other. Who had to wait gets what
    is true after the wait.
    """
    held = (
        select(Membership.id, Membership.user_id)
        .where(mine(Membership, tenant), Membership.role == Role.OWNER)
        .order_by(Membership.id)
        .with_for_update()
    )
    owners = {user_id: membership_id for membership_id, user_id in await session.execute(held)}
    alive = await session.execute(select(User.id).where(User.id.in_(owners), User.deleted_at.is_(None)))
    return [owners[user_id] for user_id in alive.scalars()]


async def set_role(
    session: WriteSession, tenant: Tenant, membership_id: MembershipId, revision: int, role: Role
) -> bool:
    """Changes a member's role; False when the tenant has no such member with this revision."""
    done = await session.execute(
        update(Membership)
        .where(mine(Membership, tenant), Membership.id == membership_id, Membership.revision == revision)
        .values(role=role, revision=Membership.revision + 1)
        .returning(Membership.id)
    )
    return done.first() is not None


async def delete_member(session: WriteSession, tenant: Tenant, membership_id: MembershipId, revision: int) -> bool:
    """Removes a member; False when the tenant has no such member with this revision."""
    done = await session.execute(
        delete(Membership)
        .where(mine(Membership, tenant), Membership.id == membership_id, Membership.revision == revision)
        .returning(Membership.id)
    )
    return done.first() is not None


async def organizations_of(session: SystemReadSession, user_id: UserId) -> Sequence[OrganizationOfUser]:
    """The organizations, not deleted, that a user belongs to, by their slugs."""
    return await _organizations(session, user_id)


async def hold_founder(session: WriteSession, user_id: UserId) -> None:
    """Has whoever else founds an organization in this user's name wait until the transaction ends."""
    key = int.from_bytes(user_id.bytes[8:], signed=True)
    await session.execute(select(func.pg_advisory_xact_lock(key)))


async def count_ownerships(session: SystemReadSession, user_id: UserId) -> int:
    """How many organizations, deleted or not, a user is an owner of."""
    owned = select(func.count()).where(Membership.user_id == user_id, Membership.role == Role.OWNER)
    return (await session.execute(owned)).scalar_one()


async def sole_ownerships(session: SystemReadSession, user_id: UserId) -> Sequence[OrganizationOfUser]:
    """The organizations, not deleted, whose only owner is this user, by their slugs."""
    other = aliased(Membership)
    others = select(other.id).where(
        other.org_id == Membership.org_id, other.role == Role.OWNER, other.user_id != user_id
    )
    return await _organizations(session, user_id, Membership.role == Role.OWNER, ~others.exists())


async def _organizations(
    session: SystemReadSession, user_id: UserId, *also: ColumnElement[bool]
) -> Sequence[OrganizationOfUser]:
    rows = await session.execute(
        select(Organization, Membership.role)
        .join(Membership, Membership.org_id == Organization.id)
        .where(Membership.user_id == user_id, Organization.deleted_at.is_(None), *also)
        .order_by(Organization.slug)
    )
    return [OrganizationOfUser(org.id, org.slug, org.name, role) for org, role in rows]


def _members(tenant: Tenant) -> Select[Membership, User]:
    query = select(Membership, User).join(User, User.id == Membership.user_id).where(mine(Membership, tenant))
    return query.execution_options(populate_existing=True)


async def _one(session: ReadSession, query: Select[Membership, User]) -> MemberView | None:
    row = (await session.execute(query)).one_or_none()
    return _view(*row) if row else None


def _view(row: Membership, user: User) -> MemberView:
    return MemberView(
        id=row.id,
        user_id=row.user_id,
        email=user.email,
        name=user.name,
        role=row.role,
        revision=row.revision,
        created_at=row.created_at,
        deleted=user.deleted_at is not None,
    )
