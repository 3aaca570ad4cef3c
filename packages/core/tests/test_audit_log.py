"""The audit log: appended in the transaction of the act, read in pages, never changed."""

import pytest
from sqlalchemy import text

from aicd_core.db.database import Database
from aicd_core.db.pages import PageRequest
from aicd_core.errors import InvalidInputError
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.repository import list_entries
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import Actor

ACTOR = Actor(ActorKind.SYSTEM, "test")


async def test_an_act_is_read_back_as_it_was_recorded(database: Database, tenant: Tenant):
    async with database.write(tenant) as session:
        await record(session, tenant, ACTOR, "thing.done", "thing", "7", {"why": ["\u202eodd", 1, None]})
    async with database.read(tenant) as session:
        (entry,) = (await list_entries(session, tenant, PageRequest())).items
    assert (entry.actor, entry.action, entry.target_kind, entry.target_id) == (ACTOR, "thing.done", "thing", "7")
    assert entry.detail == {"why": ["\u202eodd", 1, None]}


async def test_pages_are_newest_first_and_neither_skip_nor_repeat(database: Database, tenant: Tenant, rival: Tenant):
    for owner in (tenant, rival):
        async with database.write(owner) as session:
            for number in range(5):
                await record(session, owner, ACTOR, "thing.done", "thing", str(number))
    seen: list[str] = []
    cursor = None
    async with database.read(tenant) as session:
        while True:
            page = await list_entries(session, tenant, PageRequest(limit=2, cursor=cursor))
            seen += [entry.target_id for entry in page.items]
            if (cursor := page.next_cursor) is None:
                break
    assert seen == ["4", "3", "2", "1", "0"]


async def test_a_forged_cursor_beyond_every_number_is_refused_and_one_beyond_every_entry_is_not(
    database: Database, tenant: Tenant
):
    async with database.read(tenant) as session:
        assert (await list_entries(session, tenant, PageRequest(cursor="f_________8"))).items == ()
        with pytest.raises(InvalidInputError, match="not one that this list gave out"):
            await list_entries(session, tenant, PageRequest(cursor="__________8"))


@pytest.mark.parametrize("bad", ["a\0b", "\ud800"])
async def test_text_that_cannot_be_stored_is_refused_wherever_it_stands(database: Database, tenant: Tenant, bad: str):
    for detail in ({"a": bad}, {bad: 1}, {"a": [{"b": bad}]}):
        with pytest.raises(InvalidInputError):
            async with database.write(tenant) as session:
                await record(session, tenant, ACTOR, "thing.done", "thing", "1", detail)


async def test_nobody_changes_or_removes_an_entry(database: Database, tenant: Tenant):
    for statement in ("UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log"):
        with pytest.raises(Exception, match="permission denied"):
            async with database.write(tenant) as session:
                await session.execute(text(statement))
