"""Who belongs to an organization, as what; and that it never loses its last owner."""

import asyncio
from itertools import product

import pytest
from sqlalchemy import text

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.db.pages import PageRequest
from aicd_core.errors import AicdError, ConflictError, ForbiddenError, NotFoundError
from aicd_core.ids import MembershipId, UserId, new_uuid
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.accounts.service import create_user
from aicd_core.tenancy.accounts.values import UserFields, UserView
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.repository import list_entries
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.memberships import service
from aicd_core.tenancy.memberships.values import MemberView
from aicd_core.tenancy.permissions import EVERYTHING, Permission, Role, powers_of_role

SYSTEM = Actor(ActorKind.SYSTEM, "test")


async def person(database: Database, name: str) -> UserView:
    async with database.accounts() as session:
        return await create_user(session, UserFields(f"{name}@example.com", True, name.title()))


async def add(database: Database, tenant: Tenant, user: UserView, role: Role) -> MemberView:
    async with database.write(tenant) as session:
        return await service.add_member(session, tenant, SYSTEM, EVERYTHING, user, role)


async def member(database: Database, tenant: Tenant, name: str, role: Role) -> MemberView:
    return await add(database, tenant, await person(database, name), role)


async def change(database: Database, tenant: Tenant, who: MemberView, role: Role, powers=EVERYTHING) -> MemberView:
    async with database.write(tenant) as session:
        return await service.change_role(session, tenant, SYSTEM, powers, who.id, who.revision, role)


async def remove(database: Database, tenant: Tenant, who: MemberView, actor=SYSTEM, powers=EVERYTHING) -> None:
    async with database.write(tenant) as session:
        await service.remove_member(session, tenant, actor, powers, who.id)


async def members(database: Database, tenant: Tenant) -> list[MemberView]:
    async with database.read(tenant) as session:
        return list((await service.list_members(session, tenant, PageRequest(limit=100))).items)


async def refused(work, kind: type[AicdError], code: str) -> None:
    with pytest.raises(kind) as caught:
        await work
    assert caught.value.code == code


async def test_members_are_listed_with_their_names_newest_first_page_by_page(database: Database, tenant: Tenant):
    made = [await member(database, tenant, name, Role.DEVELOPER) for name in ("ada", "bob", "cy")]
    async with database.read(tenant) as session:
        first = await service.list_members(session, tenant, PageRequest(limit=2))
        rest = await service.list_members(session, tenant, PageRequest(limit=2, cursor=first.next_cursor))
    assert [*first.items, *rest.items] == made[::-1]
    assert rest.next_cursor is None
    assert [(one.name, one.email, one.role) for one in rest.items] == [("Ada", "ada@example.com", Role.DEVELOPER)]


async def test_a_user_is_a_member_once(database: Database, tenant: Tenant, rival: Tenant):
    ada = await person(database, "ada")
    await add(database, tenant, ada, Role.VIEWER)
    await refused(add(database, tenant, ada, Role.OWNER), ConflictError, "already_member")
    assert (await add(database, rival, ada, Role.OWNER)).role is Role.OWNER
    assert [one.role for one in await members(database, tenant)] == [Role.VIEWER]


async def test_a_role_is_changed_only_by_who_read_the_newest_revision(database: Database, tenant: Tenant):
    ada = await member(database, tenant, "ada", Role.VIEWER)
    changed = await change(database, tenant, ada, Role.ADMIN)
    assert (changed.role, changed.revision) == (Role.ADMIN, 2)
    await refused(change(database, tenant, ada, Role.VIEWER), ConflictError, "stale_revision")
    assert await members(database, tenant) == [changed]


@pytest.mark.parametrize("giver", Role)
async def test_nobody_gives_or_takes_a_role_that_can_do_more_than_himself(
    database: Database, tenant: Tenant, giver: Role
):
    powers = powers_of_role(giver)
    await member(database, tenant, "root", Role.OWNER)
    ada = await member(database, tenant, "ada", Role.VIEWER)
    for old, new in product(Role, Role):
        ada = await change(database, tenant, ada, old)
        if powers_of_role(old) <= powers and powers_of_role(new) <= powers:
            ada = await change(database, tenant, ada, new, powers)
            assert ada.role is new
        else:
            await refused(change(database, tenant, ada, new, powers), ForbiddenError, "role_too_high")
            assert (await members(database, tenant))[0] == ada


async def test_a_key_gives_no_role_beyond_its_scopes(database: Database, tenant: Tenant):
    ada, powers = await person(database, "ada"), frozenset({Permission.MEMBERS_EDIT, Permission.MEMBERS_READ})
    with pytest.raises(ForbiddenError, match="jobs:read"):
        async with database.write(tenant) as session:
            await service.add_member(session, tenant, SYSTEM, powers, ada, Role.VIEWER)
    assert await members(database, tenant) == []


async def test_a_member_is_removed_and_may_leave_by_himself(database: Database, tenant: Tenant):
    owner = await member(database, tenant, "root", Role.OWNER)
    ada, bob = [await member(database, tenant, name, Role.ADMIN) for name in ("ada", "bob")]
    himself, nothing = Actor(ActorKind.USER, str(ada.user_id)), frozenset[Permission]()
    await refused(remove(database, tenant, bob, himself, nothing), ForbiddenError, "role_too_high")
    await refused(remove(database, tenant, owner, himself, powers_of_role(ada.role)), ForbiddenError, "role_too_high")
    await remove(database, tenant, ada, himself, nothing)
    await remove(database, tenant, bob)
    assert await members(database, tenant) == [owner]
    await refused(remove(database, tenant, bob), NotFoundError, "member_not_found")


async def test_the_last_owner_is_neither_removed_nor_demoted_nor_leaves(database: Database, tenant: Tenant):
    owner = await member(database, tenant, "root", Role.OWNER)
    await member(database, tenant, "ada", Role.ADMIN)
    himself = Actor(ActorKind.USER, str(owner.user_id))
    await refused(remove(database, tenant, owner), ConflictError, "last_owner")
    await refused(remove(database, tenant, owner, himself), ConflictError, "last_owner")
    await refused(change(database, tenant, owner, Role.ADMIN), ConflictError, "last_owner")
    assert (await change(database, tenant, owner, Role.OWNER)).role is Role.OWNER


async def test_an_owner_whose_account_is_deleted_keeps_nobody_in_charge(database: Database, tenant: Tenant):
    owner = await member(database, tenant, "root", Role.OWNER)
    gone = await member(database, tenant, "gone", Role.OWNER)
    async with database.accounts() as session:
        await session.execute(text(f"UPDATE users SET deleted_at = now() WHERE id = '{gone.user_id}'"))
    await refused(remove(database, tenant, owner), ConflictError, "last_owner")
    assert [one.deleted for one in await members(database, tenant)] == [True, False]
    await remove(database, tenant, gone)


@pytest.mark.parametrize("way", ["all leave", "all demote each other", "some of each"])
async def test_owners_who_go_at_the_same_time_leave_one_behind(database: Database, tenant: Tenant, way: str):
    owners = [await member(database, tenant, f"owner{number}", Role.OWNER) for number in range(5)]

    async def go(number: int, who: MemberView) -> None:
        leaves = way == "all leave" or (way == "some of each" and number % 2)
        await (remove(database, tenant, who) if leaves else change(database, tenant, who, Role.VIEWER))

    results = await asyncio.gather(*(go(*pair) for pair in enumerate(owners)), return_exceptions=True)
    faults = [result for result in results if result is not None]
    assert [getattr(fault, "code", fault) for fault in faults] == ["last_owner"]
    assert [one.role for one in await members(database, tenant)].count(Role.OWNER) == 1


async def test_a_deleted_user_cannot_be_added(database: Database, tenant: Tenant):
    ada = await person(database, "ada")
    async with database.accounts() as session:
        await session.execute(text("UPDATE users SET deleted_at = now()"))
    async with database.accounts() as session:
        gone = (await session.execute(text("SELECT deleted_at FROM users"))).scalar_one()
    deleted = UserView(**{**vars(ada), "deleted_at": gone})
    await refused(add(database, tenant, deleted, Role.VIEWER), NotFoundError, "user_not_found")


async def test_another_tenants_members_are_neither_seen_nor_changed(database: Database, tenant: Tenant, rival: Tenant):
    ada = await member(database, tenant, "ada", Role.DEVELOPER)
    assert await members(database, rival) == []
    await refused(change(database, rival, ada, Role.VIEWER), NotFoundError, "member_not_found")
    await refused(remove(database, rival, ada), NotFoundError, "member_not_found")
    async with database.read(rival) as session:
        assert await service.find_member(session, rival, ada.user_id) is None
    async with database.read(tenant) as session:
        assert await service.find_member(session, tenant, ada.user_id) == ada
    await refused(
        remove(database, tenant, MemberView(**{**vars(ada), "id": MembershipId(new_uuid())})),
        NotFoundError,
        "member_not_found",
    )


async def test_a_user_sees_his_organizations_but_deleted_ones(
    database: Database, system: SystemDatabase, tenant: Tenant, rival: Tenant
):
    ada = await person(database, "ada")
    await add(database, tenant, ada, Role.OWNER)
    await add(database, rival, ada, Role.VIEWER)
    async with system.read() as session:
        found = await service.organizations_of(session, ada.id)
        assert await service.organizations_of(session, UserId(new_uuid())) == []
    assert [(one.slug, one.org_id, one.role) for one in found] == [
        ("acme", tenant.org_id, Role.OWNER),
        ("rival", rival.org_id, Role.VIEWER),
    ]
    async with database.write(tenant) as session:
        await session.execute(text("UPDATE organizations SET deleted_at = now()"))
    async with system.read() as session:
        assert [one.slug for one in await service.organizations_of(session, ada.id)] == ["rival"]


async def test_a_user_is_told_which_organizations_hang_on_him_alone(
    database: Database, system: SystemDatabase, tenant: Tenant, rival: Tenant
):
    ada = await person(database, "ada")
    await add(database, tenant, ada, Role.OWNER)
    await member(database, tenant, "admin", Role.ADMIN)
    await add(database, rival, ada, Role.OWNER)
    await member(database, rival, "other", Role.OWNER)
    async with system.read() as session:
        assert [one.slug for one in await service.sole_ownerships(session, ada.id)] == ["acme"]


async def test_every_change_is_on_the_record(database: Database, tenant: Tenant):
    await member(database, tenant, "root", Role.OWNER)
    ada = await member(database, tenant, "ada", Role.VIEWER)
    await remove(database, tenant, await change(database, tenant, ada, Role.ADMIN))
    async with database.read(tenant) as session:
        entries = (await list_entries(session, tenant, PageRequest())).items
    about_ada = [(one.action, one.detail) for one in entries if one.target_id == str(ada.id)]
    user_id = str(ada.user_id)
    assert about_ada == [
        ("member.removed", {"user_id": user_id, "role": "admin"}),
        ("member.role_changed", {"user_id": user_id, "from": "viewer", "to": "admin"}),
        ("member.added", {"user_id": user_id, "role": "viewer"}),
    ]
