"""Many tenants on few connections: no transaction ever sees what the one before it was keyed to."""

import asyncio
import random
from collections.abc import AsyncIterator

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.db.repository import TENANT_VARIABLE
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.service import ensure_organization
from aicd_core.testing.databases import TestUrls

TASKS, CONNECTIONS, STATEMENTS, TENANTS = 50, 5, 10_000, 7
OWN = text(f"SELECT current_setting('{TENANT_VARIABLE}'), array_agg(id::text) FROM organizations")
SLEEP = text("SELECT pg_sleep(30)")


@pytest.fixture
async def pooled(database_urls: TestUrls) -> AsyncIterator[Database]:
    database = Database.connect(database_urls.app, pool_size=CONNECTIONS)
    yield database
    await database.close()


@pytest.fixture
async def single(database_urls: TestUrls) -> AsyncIterator[Database]:
    """One connection, so that the next transaction gets the one that the last gave back."""
    database = Database.connect(database_urls.app, pool_size=1)
    yield database
    await database.close()


async def make_tenants(system: SystemDatabase) -> list[Tenant]:
    async with system.write() as session:
        return [await ensure_organization(session, f"org-{number}") for number in range(TENANTS)]


async def left_over(database: Database) -> tuple[str | None, int]:
    """The variable on a raw connection of the pool, outside of our transactions, and the rows that it sees."""
    async with database.engine.connect() as connection:
        setting = text(f"SELECT current_setting('{TENANT_VARIABLE}', true)")
        value = (await connection.execute(setting)).scalar_one()
        seen = (await connection.execute(text("SELECT count(*) FROM organizations"))).scalar_one()
    return value or None, seen


async def test_fifty_tasks_that_switch_tenants_see_only_the_one_they_asked_for(
    pooled: Database, system: SystemDatabase
):
    tenants = await make_tenants(system)
    done: list[int] = []

    async def work(seed: int) -> None:
        chance = random.Random(seed)
        while sum(done) < STATEMENTS:
            tenant, statements = chance.choice(tenants), chance.randint(1, 4)
            async with (pooled.read if chance.random() < 0.5 else pooled.write)(tenant) as session:
                for _ in range(statements):
                    key, seen = (await session.execute(OWN)).one()
                    assert (key, seen) == (str(tenant.org_id), [str(tenant.org_id)])
                if chance.random() < 0.05:
                    with pytest.raises(DBAPIError, match="division by zero"):
                        async with session.begin_nested():
                            await session.execute(text("SELECT 1 / 0"))
            done.append(statements)

    async with asyncio.TaskGroup() as group:
        for seed in range(TASKS):
            group.create_task(work(seed))
    assert sum(done) >= STATEMENTS
    assert await left_over(pooled) == (None, 0)


async def test_after_a_commit_nothing_is_left_on_the_connection(single: Database, tenant: Tenant):
    async with single.write(tenant) as session:
        await session.execute(OWN)
    assert await left_over(single) == (None, 0)


async def test_after_an_error_of_ours_or_of_the_database_nothing_is_left(single: Database, tenant: Tenant):
    with pytest.raises(RuntimeError, match="ours"):
        async with single.write(tenant):
            raise RuntimeError("ours")
    assert await left_over(single) == (None, 0)
    with pytest.raises(DBAPIError, match="division by zero"):
        async with single.write(tenant) as session:
            await session.execute(text("SELECT 1 / 0"))
    assert await left_over(single) == (None, 0)


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
async def test_after_a_cancellation_or_a_time_out_in_a_statement_nothing_is_left(
    single: Database, tenant: Tenant, how: str
):
    async def stuck() -> None:
        async with single.write(tenant) as session:
            await session.execute(SLEEP)

    if how == "cancelled":
        task = asyncio.create_task(stuck())
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stuck(), 0.3)
    async with asyncio.timeout(10):
        assert await left_over(single) == (None, 0)


async def test_after_the_database_s_own_time_out_nothing_is_left(single: Database, tenant: Tenant):
    async with single.write(tenant) as session:
        await session.execute(text("SET LOCAL statement_timeout = '100ms'"))
        with pytest.raises(DBAPIError, match="statement timeout"):
            await session.execute(SLEEP)
    assert await left_over(single) == (None, 0)


async def test_a_transaction_of_no_tenant_sees_none_after_one_that_had_one(single: Database, tenant: Tenant):
    async with single.read(tenant) as session:
        assert (await session.execute(text("SELECT count(*) FROM organizations"))).scalar_one() == 1
    async with single.accounts() as session:
        assert (await session.execute(text("SELECT count(*) FROM organizations"))).scalar_one() == 0


async def test_a_read_only_transaction_leaves_the_next_one_writable(single: Database, tenant: Tenant):
    with pytest.raises(Exception, match="read-only transaction"):
        async with single.read(tenant) as session:
            await session.execute(text("UPDATE organizations SET name = 'x'"))
    async with single.write(tenant) as session:
        await session.execute(text("UPDATE organizations SET name = 'x'"))


async def test_connections_that_the_server_closed_are_replaced_unseen(
    pooled: Database, tenant: Tenant, database_urls: TestUrls
):
    async def count() -> int:
        async with pooled.read(tenant) as session:
            await asyncio.sleep(0.05)  # so that each task has a connection of its own
            return (await session.execute(text("SELECT count(*) FROM organizations"))).scalar_one()

    def end_all() -> None:
        with psycopg.connect(database_urls.admin, autocommit=True) as admin:
            ended = admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'aicd_app'")
            assert len(ended.fetchall()) >= CONNECTIONS

    assert await asyncio.gather(*(count() for _ in range(CONNECTIONS))) == [1] * CONNECTIONS
    end_all()
    assert await asyncio.gather(*(count() for _ in range(CONNECTIONS))) == [1] * CONNECTIONS
    end_all()
    await pooled.refuse_unsafe_role()
