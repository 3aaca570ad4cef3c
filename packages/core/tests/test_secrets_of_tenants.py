"""Secrets of tenants: encrypted, bound to their row, under keys that can be replaced."""

import base64
import os
from uuid import UUID

import pytest
from sqlalchemy import text

from aicd_core.db.database import Database
from aicd_core.db.pages import PageRequest
from aicd_core.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from aicd_core.ids import OrgId
from aicd_core.settings import Settings
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.repository import list_entries
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.secrets import repository, service
from aicd_core.tenancy.secrets.keyring import Keyring

ACTOR = Actor(ActorKind.SYSTEM, "test")
OLD, NEW = os.urandom(32), os.urandom(32)
NOBODY = Tenant(OrgId(UUID(int=7)))
RING = Keyring([("k1", OLD)])


async def put(database: Database, tenant: Tenant, name: str, value: str, revision: int = 0) -> None:
    async with database.write(tenant) as session:
        await service.put(session, tenant, ACTOR, RING, name, value, revision=revision)


async def test_a_secret_is_kept_replaced_and_deleted_by_revision(database: Database, tenant: Tenant):
    await put(database, tenant, "MODEL_KEY", "värde")
    for stale in (0, 2):
        with pytest.raises(ConflictError):
            await put(database, tenant, "MODEL_KEY", "late", revision=stale)
    await put(database, tenant, "MODEL_KEY", "second", revision=1)
    async with database.write(tenant) as session:
        assert await service.get(session, tenant, RING, "MODEL_KEY") == "second"
        (shown,) = await service.list_names(session, tenant)
        assert (shown.name, shown.key_id, shown.revision) == ("MODEL_KEY", "k1", 2)
        with pytest.raises(ConflictError):
            await service.delete(session, tenant, ACTOR, "MODEL_KEY", revision=1)
        await service.delete(session, tenant, ACTOR, "MODEL_KEY", revision=2)
        for name in ("MODEL_KEY", "no name\0"):
            with pytest.raises(NotFoundError):
                await service.get(session, tenant, RING, name)


async def test_no_value_is_in_the_row_the_audit_log_or_an_error(database: Database, tenant: Tenant):
    value = "very-secret-" + os.urandom(8).hex()
    await put(database, tenant, "MODEL_KEY", value)
    async with database.read(tenant) as session:
        sealed = await repository.get_sealed(session, tenant, "MODEL_KEY")
        assert sealed is not None
        assert value.encode() not in sealed.ciphertext
        assert value not in repr((await list_entries(session, tenant, PageRequest())).items)
        for ring in (Keyring([("k2", NEW)]), Keyring([("k1", NEW)])):
            with pytest.raises(UnavailableError) as caught:
                await service.get(session, tenant, ring, "MODEL_KEY")
            assert value not in caught.value.message


async def test_a_ciphertext_copied_into_another_row_does_not_decrypt(database: Database, tenant: Tenant, rival: Tenant):
    await put(database, tenant, "A", "one")
    await put(database, tenant, "B", "two")
    await put(database, rival, "A", "three")
    async with database.read(rival) as session:
        theirs = await repository.get_sealed(session, rival, "A")
    assert theirs is not None
    async with database.write(tenant) as session:
        copy = "UPDATE secrets SET ciphertext = (SELECT ciphertext FROM secrets WHERE name = 'A') WHERE name = 'B'"
        await session.execute(text(copy))
        await session.execute(text("UPDATE secrets SET ciphertext = :c WHERE name = 'A'"), {"c": theirs.ciphertext})
        for name in ("A", "B"):
            with pytest.raises(UnavailableError) as caught:
                await service.get(session, tenant, RING, name)
            assert caught.value.code == "secret_unreadable"


async def test_after_reencryption_the_old_key_may_go(database: Database, tenant: Tenant):
    await put(database, tenant, "A", "one")
    await put(database, tenant, "B", "two")
    both, new = Keyring([("k2", NEW), ("k1", OLD)]), Keyring([("k2", NEW)])
    async with database.write(tenant) as session:
        with pytest.raises(UnavailableError, match="k1"):
            await service.reencrypt(session, tenant, ACTOR, new)
        assert await service.reencrypt(session, tenant, ACTOR, both) == 2
        assert await service.reencrypt(session, tenant, ACTOR, both) == 0
        assert [await service.get(session, tenant, new, name) for name in ("A", "B")] == ["one", "two"]
        assert {view.revision for view in await service.list_names(session, tenant)} == {1}


@pytest.mark.parametrize("name", ["", "a", "1A", "A-B", "A" * 101, "A\n"])
async def test_a_bad_name_is_refused(database: Database, tenant: Tenant, name: str):
    with pytest.raises(InvalidInputError):
        await put(database, tenant, name, "value")


@pytest.mark.parametrize("value", ["", "a\0", "\ud800", "x" * 65537])
async def test_a_bad_value_is_refused_without_being_shown(database: Database, tenant: Tenant, value: str):
    with pytest.raises(InvalidInputError) as caught:
        await put(database, tenant, "A", value)
    assert not value or value not in caught.value.message


async def test_there_is_a_limit_to_secrets(database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service, "MOST_SECRETS", 1)
    await put(database, tenant, "A", "one")
    with pytest.raises(InvalidInputError, match="may have 1 secrets"):
        await put(database, tenant, "B", "two")


def test_keys_are_read_from_the_setting():
    encoded = [base64.b64encode(key).decode() for key in (NEW, OLD)]
    ring = Keyring.parse(f"k2:{encoded[0]}, k1:{encoded[1]},")
    assert ring.newest == "k2"
    key_id, sealed = RING.encrypt(NOBODY, "A", "value")
    assert ring.decrypt(NOBODY, "A", key_id, sealed) == "value"


@pytest.mark.parametrize("setting", ["k1", "k1:", "k1:AAAA", ":{key}", "a b:{key}", "k1:{key}x", "k1:{key},k1:{key}"])
def test_a_malformed_setting_is_refused_and_not_shown(setting: str):
    key = base64.b64encode(NEW).decode()
    with pytest.raises(InvalidInputError) as caught:
        Keyring.parse(setting.format(key=key))
    assert key not in caught.value.message


@pytest.mark.parametrize("setting", [None, "", " , "])
def test_without_a_key_nothing_is_encrypted(setting: str | None):
    with pytest.raises(UnavailableError, match="head -c 32"):
        Keyring.parse(setting).encrypt(NOBODY, "A", "value")


def test_the_settings_do_not_show_the_keys(monkeypatch: pytest.MonkeyPatch):
    key = base64.b64encode(NEW).decode()
    monkeypatch.setenv("AICD_SECRET_KEYS", f"k1:{key}")
    settings = Settings()
    assert key not in repr(settings)
    assert settings.secret_keys is not None
    assert Keyring.parse(settings.secret_keys.get_secret_value()).newest == "k1"
