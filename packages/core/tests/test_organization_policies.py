"""Policies: every version kept, one winner when two publish at once."""

import asyncio
from uuid import uuid4

import pytest

from aicd_core.db.database import Database
from aicd_core.db.pages import PageRequest
from aicd_core.errors import ConflictError, InvalidInputError, NotFoundError
from aicd_core.policy.rules import Rules
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.repository import list_entries
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.policies import repository, service

ACTOR = Actor(ActorKind.SYSTEM, "test")


async def test_versions_count_up_and_the_newest_counts(database: Database, tenant: Tenant, rival: Tenant):
    rules = Rules().model_dump(mode="json")
    async with database.write(tenant) as session:
        assert await service.newest(session, tenant) is None
        first = await service.publish(session, tenant, ACTOR, rules, expected=0, note="first")
        second = await service.publish(session, tenant, ACTOR, {"a": [1, "\u202e"]}, expected=1)
        assert (first.version, second.version) == (1, 2)
        assert Rules.model_validate(first.rules) == Rules()
        assert await service.newest(session, tenant) == second
        assert await service.require_version(session, tenant, 1) == first
        for missing in (0, 3, 2**40):
            with pytest.raises(NotFoundError):
                await service.require_version(session, tenant, missing)
        newest_first = await repository.list_versions(session, tenant, PageRequest(limit=1))
        rest = await repository.list_versions(session, tenant, PageRequest(cursor=newest_first.next_cursor))
        assert newest_first.items + rest.items == (second, first)
        entries = (await list_entries(session, tenant, PageRequest())).items
    assert [entry.detail for entry in entries] == [{"version": 2}, {"version": 1}]
    async with database.read(rival) as session:
        assert await service.newest(session, rival) is None


async def test_of_two_who_publish_at_once_one_wins(database: Database, tenant: Tenant):
    async def publish(name: str) -> str:
        try:
            async with database.write(tenant) as session:
                await service.publish(session, tenant, ACTOR, {"by": name}, expected=0)
                await asyncio.sleep(0.2)
        except ConflictError as error:
            return error.code
        return "won"

    assert sorted(await asyncio.gather(publish("a"), publish("b"))) == ["stale_revision", "won"]


async def test_a_policy_made_from_an_older_version_is_refused(database: Database, tenant: Tenant):
    async with database.write(tenant) as session:
        await service.publish(session, tenant, ACTOR, {}, expected=0)
        for expected in (0, 2, -1):
            with pytest.raises(ConflictError):
                await service.publish(session, tenant, ACTOR, {}, expected=expected)


@pytest.mark.parametrize(
    "rules", [{"a": "\0"}, {"\ud800": 1}, {"a": float("nan")}, {"a": object()}, {"a": "x" * 300_000}]
)
async def test_rules_that_cannot_be_stored_are_refused(database: Database, tenant: Tenant, rules):
    with pytest.raises(InvalidInputError):
        async with database.write(tenant) as session:
            await service.publish(session, tenant, ACTOR, rules, expected=0)


async def test_a_user_is_named_as_the_author(database: Database, tenant: Tenant):
    with pytest.raises(Exception, match="fk_policies_created_by_users"):
        async with database.write(tenant) as session:
            await service.publish(session, tenant, Actor(ActorKind.USER, str(uuid4())), {}, expected=0)
