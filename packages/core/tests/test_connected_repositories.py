"""Repositories: connected, configured, disconnected and taken up again."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from aicd_core.db.database import Database
from aicd_core.db.pages import PageRequest
from aicd_core.errors import ConflictError, InvalidInputError, NotFoundError
from aicd_core.ids import InstallationId, new_uuid
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.repository import list_entries
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.installations.models import Installation
from aicd_core.tenancy.repositories import repository, service

ACTOR = Actor(ActorKind.SYSTEM, "test")
NOW = datetime(2026, 11, 1, tzinfo=UTC)
SOURCE = "https://example.test/acme/shop.git"


async def install(database: Database, tenant: Tenant) -> InstallationId:
    made = InstallationId(new_uuid())
    async with database.write(tenant) as session:
        values = {"id": made, "org_id": tenant.org_id, "host": "https://example.test", "account": "acme"}
        await session.execute(insert(Installation).values(external_id=made.int % 2**40, **values))
    return made


async def test_a_repository_is_connected_once(database: Database, tenant: Tenant, rival: Tenant):
    for owner in (tenant, rival):
        async with database.write(owner) as session:
            made = await service.connect(session, owner, ACTOR, SOURCE)
            assert (made.source, made.enabled, made.revision, made.disconnected_at) == (SOURCE, True, 1, None)
            with pytest.raises(ConflictError) as caught:
                await service.connect(session, owner, ACTOR, SOURCE)
            assert caught.value.code == "connected_already"


@pytest.mark.parametrize("source", ["", " /srv/repo", "a\nb", "a" * 2001, "ä" * 1500, "a\0b", "\ud800", "/a\u202eb"])
async def test_a_source_that_cannot_be_one_is_refused(database: Database, tenant: Tenant, source: str):
    with pytest.raises(InvalidInputError):
        async with database.write(tenant) as session:
            await service.connect(session, tenant, ACTOR, source)


async def test_a_repository_is_configured_by_revision(database: Database, tenant: Tenant, rival: Tenant):
    mine, theirs = await install(database, tenant), await install(database, rival)
    async with database.write(tenant) as session:
        made = await service.connect(session, tenant, ACTOR, SOURCE)
        changed = await service.configure(
            session, tenant, ACTOR, made.id, revision=1, enabled=False, installation_id=mine
        )
        assert (changed.enabled, changed.installation_id, changed.revision) == (False, mine, 2)
        with pytest.raises(ConflictError, match="Read it again"):
            await service.configure(session, tenant, ACTOR, made.id, revision=1, enabled=True, installation_id=None)
        with pytest.raises(NotFoundError, match="installation"):
            await service.configure(session, tenant, ACTOR, made.id, revision=2, enabled=True, installation_id=theirs)
    async with database.write(rival) as session:
        with pytest.raises(NotFoundError):
            await service.configure(session, rival, ACTOR, made.id, revision=2, enabled=True, installation_id=None)


async def test_a_disconnected_repository_comes_back_by_any_way(database: Database, tenant: Tenant):
    installation = await install(database, tenant)
    async with database.write(tenant) as session:
        made = await service.connect(session, tenant, ACTOR, SOURCE)
        gone = await service.disconnect(session, tenant, ACTOR, made.id, revision=1, now=NOW)
        assert gone.disconnected_at == NOW
        with pytest.raises(ConflictError, match="disconnected already"):
            await service.disconnect(session, tenant, ACTOR, made.id, revision=2, now=NOW)
        back = await service.reconnect(session, tenant, ACTOR, made.id, revision=2)
        assert (back.disconnected_at, back.revision) == (None, 3)
        await service.disconnect(session, tenant, ACTOR, made.id, revision=3, now=NOW)
        anew = await service.connect(session, tenant, ACTOR, SOURCE, installation_id=installation)
        assert (anew.id, anew.disconnected_at, anew.installation_id) == (made.id, None, installation)
        await service.disconnect(session, tenant, ACTOR, made.id, revision=anew.revision, now=NOW)
        assert await repository.ensure_repository(session, tenant, SOURCE) == made.id
        assert (await service.require_repository(session, tenant, made.id)).disconnected_at is None
        entries = (await list_entries(session, tenant, PageRequest())).items
    assert [entry.action for entry in reversed(entries)] == [
        "repository.connected",
        "repository.disconnected",
        "repository.reconnected",
        "repository.disconnected",
        "repository.reconnected",
        "repository.configured",
        "repository.disconnected",
    ]


async def test_pages_show_the_connected_ones_newest_first(database: Database, tenant: Tenant):
    async with database.write(tenant) as session:
        made = [await service.connect(session, tenant, ACTOR, f"/srv/{number}") for number in range(4)]
        await service.disconnect(session, tenant, ACTOR, made[1].id, revision=1, now=NOW)
    async with database.read(tenant) as session:
        first = await repository.list_repositories(session, tenant, PageRequest(limit=2))
        rest = await repository.list_repositories(session, tenant, PageRequest(limit=2, cursor=first.next_cursor))
        gone = await repository.list_repositories(session, tenant, PageRequest(), disconnected=True)
    assert [view.id for view in first.items + rest.items] == [made[3].id, made[2].id, made[0].id]
    assert (rest.next_cursor, [view.id for view in gone.items]) == (None, [made[1].id])
