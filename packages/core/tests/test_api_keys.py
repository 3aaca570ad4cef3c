"""API keys, from their making to their end."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.db.pages import PageRequest
from aicd_core.errors import (
    AicdError,
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    UnauthenticatedError,
)
from aicd_core.ids import ApiKeyId, new_uuid
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.accounts.service import create_user
from aicd_core.tenancy.accounts.values import UserFields
from aicd_core.tenancy.api_keys import service
from aicd_core.tenancy.api_keys.values import IssuedKey, KeySpec, KeyView
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.repository import list_entries
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.permissions import EVERYTHING, Permission, Role, powers_of_role, powers_of_scopes
from aicd_core.tenancy.tokens import ALPHABET, TokenKind, checksum, new_token

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SYSTEM = Actor(ActorKind.SYSTEM, "test")
SPEC = KeySpec("ci", frozenset({"jobs:read", "jobs:create"}))


async def create(
    database: Database, tenant: Tenant, spec: KeySpec = SPEC, actor: Actor = SYSTEM, powers=EVERYTHING
) -> IssuedKey:
    async with database.write(tenant) as session:
        return await service.create_key(session, tenant, actor, powers, spec, NOW)


async def rotate(
    database: Database, tenant: Tenant, key: KeyView, grace: timedelta = HOUR, powers=EVERYTHING, **more
) -> IssuedKey:
    now, expires_at = more.get("now", NOW), more.get("expires_at")
    async with database.write(tenant) as session:
        return await service.rotate_key(session, tenant, SYSTEM, powers, key.id, grace, expires_at, now)


async def revoke(database: Database, tenant: Tenant, key_id: ApiKeyId) -> KeyView:
    async with database.write(tenant) as session:
        return await service.revoke_key(session, tenant, SYSTEM, key_id, NOW)


async def find(system: SystemDatabase, issued: IssuedKey, now: datetime = NOW) -> tuple[Tenant, KeyView]:
    async with system.read() as session:
        found = await service.find_key(session, issued.token.reveal(), now)
        return found.tenant, found.key


async def refused(work, kind: type[AicdError], code: str) -> None:
    with pytest.raises(kind) as caught:
        await work
    assert caught.value.code == code


async def test_a_key_finds_its_tenant_and_what_it_may_do(
    database: Database, system: SystemDatabase, tenant: Tenant, rival: Tenant
):
    await create(database, rival)
    issued = await create(database, tenant)
    assert await find(system, issued) == (tenant, issued.key)
    assert powers_of_scopes(issued.key.scopes) == {Permission.JOBS_READ, Permission.JOBS_CREATE}
    assert issued.key.prefix == issued.token.prefix


async def test_a_key_is_shown_once_and_stored_as_a_hash(database: Database, tenant: Tenant):
    issued = await create(database, tenant)
    secret = issued.token.reveal()
    async with database.read(tenant) as session:
        for table in ("api_keys", "audit_log"):
            stored = (await session.execute(text(f"SELECT string_agg(t::text, ' ') FROM {table} t"))).scalar_one()
            assert secret not in stored
            assert secret.encode().hex() not in stored
        (listed,) = (await service.list_keys(session, tenant, PageRequest())).items
    assert listed == issued.key
    assert "hash" not in repr(listed)
    assert secret not in repr(issued)


@pytest.mark.parametrize("role", Role)
async def test_nobody_makes_a_key_that_can_do_more_than_himself(database: Database, tenant: Tenant, role: Role):
    powers = powers_of_role(role)
    for scope in Permission:
        making = create(database, tenant, KeySpec("key", frozenset({scope.value})), powers=powers)
        if scope in powers:
            assert (await making).key.scopes == {scope.value}
        else:
            await refused(making, ForbiddenError, "scope_too_high")


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        (KeySpec("key", frozenset()), "bad_scope"),
        (KeySpec("key", frozenset({"*"})), "bad_scope"),
        (KeySpec("key", frozenset({"jobs:read", "jobs:everything"})), "bad_scope"),
        (KeySpec("key", frozenset({"jobs:read\x00"})), "bad_scope"),
        (KeySpec("", SPEC.scopes), "bad_length"),
        (KeySpec("k" * 201, SPEC.scopes), "bad_length"),
        (KeySpec("k" * 10_000_000, SPEC.scopes), "bad_length"),
        (KeySpec("k\x00", SPEC.scopes), "bad_character"),
        (KeySpec("k\ud800", SPEC.scopes), "bad_character"),
        (KeySpec("key", SPEC.scopes, NOW), "bad_expiry"),
    ],
)
async def test_a_key_that_makes_no_sense_is_not_made(database: Database, tenant: Tenant, spec: KeySpec, code: str):
    await refused(create(database, tenant, spec), InvalidInputError, code)


async def test_a_name_is_stored_exactly(database: Database, tenant: Tenant):
    name = "'; DROP TABLE api_keys; -- \u202e\u200b\U0001f511"
    issued = await create(database, tenant, KeySpec(name, SPEC.scopes))
    async with database.read(tenant) as session:
        assert (await service.get_key(session, tenant, issued.key.id)).name == name


async def test_a_key_ends_with_its_time(database: Database, system: SystemDatabase, tenant: Tenant):
    issued = await create(database, tenant, KeySpec("ci", SPEC.scopes, NOW + HOUR))
    assert await find(system, issued, NOW + HOUR - timedelta(microseconds=1))
    await refused(find(system, issued, NOW + HOUR), UnauthenticatedError, "key_expired")


async def test_a_revoked_key_is_refused_at_once_and_may_be_revoked_again(
    database: Database, system: SystemDatabase, tenant: Tenant
):
    issued = await create(database, tenant)
    revoked = await revoke(database, tenant, issued.key.id)
    assert revoked.revoked_at == NOW
    assert await revoke(database, tenant, issued.key.id) == revoked
    await refused(find(system, issued), UnauthenticatedError, "key_revoked")
    await refused(revoke(database, tenant, ApiKeyId(new_uuid())), NotFoundError, "key_not_found")


async def test_a_key_of_a_deleted_organization_is_refused(database: Database, system: SystemDatabase, tenant: Tenant):
    issued = await create(database, tenant)
    async with database.write(tenant) as session:
        await session.execute(text("UPDATE organizations SET deleted_at = now()"))
    await refused(find(system, issued), UnauthenticatedError, "organization_deleted")


async def test_a_right_prefix_with_a_wrong_secret_is_as_unknown_as_a_wrong_prefix(
    database: Database, system: SystemDatabase, tenant: Tenant
):
    issued = await create(database, tenant)
    body = f"aicd_key_{issued.token.prefix}_{ALPHABET[:32]}"
    messages = []
    for wrong in (body + checksum(body), new_token(TokenKind.API_KEY).reveal()):
        async with system.read() as session:
            with pytest.raises(UnauthenticatedError) as caught:
                await service.find_key(session, wrong, NOW)
        messages.append((caught.value.code, caught.value.message))
    assert messages[0] == messages[1]
    assert messages[0][0] == "key_unknown"


async def test_a_mistyped_key_is_refused_before_the_database_is_asked(
    database: Database, system: SystemDatabase, tenant: Tenant
):
    right = (await create(database, tenant)).token.reveal()
    statements: list[str] = []
    async with system.read() as session:
        event.listen(system.engine.sync_engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        for wrong in (right[:-1] + ("0" if right[-1] != "0" else "1"), right.replace("_key_", "_ses_"), "", right * 2):
            with pytest.raises(UnauthenticatedError):
                await service.find_key(session, wrong, NOW)
        assert statements == []
        await service.find_key(session, right, NOW)
    assert len(statements) == 1


async def test_the_old_key_stays_good_for_the_grace_after_a_rotation(
    database: Database, system: SystemDatabase, tenant: Tenant
):
    old = await create(database, tenant)
    new = await rotate(database, tenant, old.key, HOUR, expires_at=NOW + 9 * HOUR)
    assert (new.key.name, new.key.scopes, new.key.replaces) == (old.key.name, old.key.scopes, old.key.id)
    assert new.key.expires_at == NOW + 9 * HOUR
    assert (await find(system, old, NOW + HOUR / 2))[1].expires_at == NOW + HOUR
    await refused(find(system, old, NOW + HOUR), UnauthenticatedError, "key_expired")
    assert (await find(system, new, NOW + HOUR))[1] == new.key


async def test_a_rotation_never_prolongs_the_old_key(database: Database, system: SystemDatabase, tenant: Tenant):
    old = await create(database, tenant, KeySpec("ci", SPEC.scopes, NOW + HOUR))
    await rotate(database, tenant, old.key, 5 * HOUR)
    await refused(find(system, old, NOW + HOUR), UnauthenticatedError, "key_expired")


async def test_a_rotation_without_grace_ends_the_old_key_at_once(
    database: Database, system: SystemDatabase, tenant: Tenant
):
    old = await create(database, tenant)
    await rotate(database, tenant, old.key, timedelta(0))
    await refused(find(system, old), UnauthenticatedError, "key_expired")


async def test_what_has_ended_or_was_replaced_is_not_rotated(database: Database, tenant: Tenant):
    replaced, revoked = await create(database, tenant), await create(database, tenant)
    expired = await create(database, tenant, KeySpec("ci", SPEC.scopes, NOW + HOUR))
    new = await rotate(database, tenant, replaced.key)
    await revoke(database, tenant, revoked.key.id)
    await refused(rotate(database, tenant, replaced.key), ConflictError, "key_replaced")
    await refused(rotate(database, tenant, revoked.key), ConflictError, "key_revoked")
    await refused(rotate(database, tenant, expired.key, now=NOW + HOUR), ConflictError, "key_expired")
    await refused(rotate(database, tenant, new.key, -HOUR), InvalidInputError, "bad_grace")
    await revoke(database, tenant, new.key.id)
    assert await rotate(database, tenant, replaced.key)


async def test_of_two_rotations_at_once_one_wins(database: Database, tenant: Tenant):
    old = await create(database, tenant)
    results = await asyncio.gather(*(rotate(database, tenant, old.key) for _ in range(4)), return_exceptions=True)
    assert [type(result) for result in results].count(IssuedKey) == 1
    assert {result.code for result in results if isinstance(result, ConflictError)} == {"key_replaced"}


async def test_nobody_gets_more_than_he_may_by_rotating_anothers_key(database: Database, tenant: Tenant):
    owners = await create(database, tenant, KeySpec("money", frozenset({"billing:edit"})))
    admin = powers_of_role(Role.ADMIN)
    await refused(rotate(database, tenant, owners.key, powers=admin), ForbiddenError, "scope_too_high")


async def test_a_use_is_written_down_at_most_once_a_minute(database: Database, tenant: Tenant, rival: Tenant):
    issued = await create(database, tenant)

    async def touch(who: Tenant, now: datetime) -> bool:
        async with database.write(who) as session:
            return await service.touch_key(session, who, issued.key.id, now)

    assert await touch(tenant, NOW)
    assert not await touch(tenant, NOW + timedelta(seconds=59))
    assert not await touch(rival, NOW + HOUR)
    assert await touch(tenant, NOW + timedelta(seconds=60))
    async with database.read(tenant) as session:
        assert (await service.get_key(session, tenant, issued.key.id)).last_used_at == NOW + timedelta(seconds=60)


async def test_the_list_goes_newest_first_page_by_page(database: Database, tenant: Tenant):
    made = [(await create(database, tenant, KeySpec(name, SPEC.scopes))).key for name in "abc"]
    async with database.read(tenant) as session:
        first = await service.list_keys(session, tenant, PageRequest(limit=2))
        rest = await service.list_keys(session, tenant, PageRequest(limit=2, cursor=first.next_cursor))
    assert [*first.items, *rest.items] == made[::-1]
    assert rest.next_cursor is None


async def test_another_tenant_neither_sees_nor_changes_a_key(database: Database, tenant: Tenant, rival: Tenant):
    issued = await create(database, tenant)
    async with database.read(rival) as session:
        assert (await service.list_keys(session, rival, PageRequest())).items == ()
        with pytest.raises(NotFoundError):
            await service.get_key(session, rival, issued.key.id)
    await refused(revoke(database, rival, issued.key.id), NotFoundError, "key_not_found")
    await refused(rotate(database, rival, issued.key), NotFoundError, "key_not_found")


async def test_every_change_is_on_the_record_with_its_actor(database: Database, tenant: Tenant):
    async with database.accounts() as session:
        ada = await create_user(session, UserFields("ada@example.com", True, "Ada"))
    issued = await create(database, tenant, actor=Actor(ActorKind.USER, str(ada.id)))
    assert issued.key.created_by == ada.id
    new = await rotate(database, tenant, issued.key)
    assert new.key.created_by is None
    await revoke(database, tenant, new.key.id)
    async with database.read(tenant) as session:
        entries = (await list_entries(session, tenant, PageRequest())).items
    assert [(one.action, one.target_id, one.actor.id) for one in entries] == [
        ("api_key.revoked", str(new.key.id), "test"),
        ("api_key.rotated", str(issued.key.id), "test"),
        ("api_key.created", str(issued.key.id), str(ada.id)),
    ]
    assert entries[-1].detail == {"name": "ci", "scopes": ["jobs:create", "jobs:read"]}
