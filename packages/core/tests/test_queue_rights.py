"""The queue inside Postgres: wakes are part of a transaction, and who may do what with BullMQ's tables."""

import asyncio
import json
from contextlib import suppress

import psycopg
import pytest
from sqlalchemy import text

from aicd_core.contracts import Wake
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.errors import UnavailableError
from aicd_core.ids import JobId, new_uuid
from aicd_core.migrations import is_current, require_current
from aicd_core.migrations.__main__ import main
from aicd_core.migrations.wakes import QUEUE_TABLES
from aicd_core.queues.options import ENTRY_OPTIONS
from aicd_core.queues.repository import add_wake
from aicd_core.tenancy import Tenant
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.queue_contract import new_wake


def ask(urls: TestUrls, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def waiting(urls: TestUrls) -> list[tuple[object, ...]]:
    return ask(urls, "SELECT queue, id, state::text, data FROM bullmq.job ORDER BY seq")


def wake_of(tenant: Tenant) -> Wake:
    job_id = JobId(new_uuid())
    return Wake(org_id=tenant.org_id, job_id=job_id, key=f"{job_id}-planning-1")


async def test_a_wake_is_queued_with_the_transaction_or_not_at_all(
    database: Database, database_urls: TestUrls, tenant: Tenant
):
    kept, dropped = wake_of(tenant), wake_of(tenant)
    async with database.write(tenant) as session:
        await add_wake(session, kept, 0)
    with suppress(ZeroDivisionError):
        async with database.write(tenant) as session:
            await add_wake(session, dropped, 0)
            raise ZeroDivisionError
    assert waiting(database_urls) == [("aicd-jobs", kept.key, "waiting", kept.model_dump(mode="json"))]


async def test_a_wake_can_be_queued_by_the_statement_that_moves_the_job(
    database: Database, database_urls: TestUrls, tenant: Tenant
):
    statement = text(
        "WITH moved AS (UPDATE organizations SET name = 'moved' WHERE id = :org RETURNING id) "
        "SELECT public.aicd_wake(id, :job, 'the-key', 1500) FROM moved"
    )
    async with database.write(tenant) as session:
        await session.execute(statement, {"org": tenant.org_id, "job": new_uuid()})
        await session.execute(statement, {"org": new_uuid(), "job": new_uuid()})
    assert [(row[1], row[2]) for row in waiting(database_urls)] == [("the-key", "delayed")]


async def test_a_queued_wake_has_the_options_of_every_entry(
    system: SystemDatabase, database_urls: TestUrls, tenant: Tenant
):
    async with system.write() as session:
        await add_wake(session, wake_of(tenant), 250)
    rows = ask(database_urls, "SELECT opts, max_attempts, delay_ms, name FROM bullmq.job")
    opts, attempts, delay, name = rows[0]
    assert json.loads(json.dumps(dict(ENTRY_OPTIONS))).items() <= opts.items()
    assert (attempts, delay, name) == (ENTRY_OPTIONS["attempts"], 250, "wake")


async def test_the_application_wakes_its_own_tenants_jobs_only(database: Database, tenant: Tenant, rival: Tenant):
    with pytest.raises(Exception, match="not that organization"):
        async with database.write(tenant) as session:
            await add_wake(session, wake_of(rival), 0)
    with pytest.raises(Exception, match="not that organization"):
        async with database.accounts() as session:
            await add_wake(session, wake_of(tenant), 0)


async def test_the_system_wakes_any_job(system: SystemDatabase, database_urls: TestUrls):
    async with system.write() as session:
        for wake in (new_wake(), new_wake()):
            await add_wake(session, wake, 0)
    assert len(waiting(database_urls)) == 2


@pytest.mark.parametrize(
    "statement",
    [
        *(f"SELECT 1 FROM bullmq.{table}" for table in QUEUE_TABLES),
        "SELECT bullmq.drain('aicd-jobs', true)",
        "SET LOCAL search_path TO bullmq; SELECT 1 FROM job",
    ],
)
def test_the_application_has_no_access_to_bullmqs_tables(database_urls: TestUrls, statement: str):
    with (
        psycopg.connect(database_urls.app) as connection,
        pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable)),
    ):
        connection.execute(statement.encode())


def test_the_system_role_owns_nothing_of_the_queue_and_may_make_nothing_in_it(database_urls: TestUrls):
    owners = ask(
        database_urls,
        "SELECT DISTINCT pg_get_userbyid(owner) FROM ("
        "SELECT relowner AS owner FROM pg_class WHERE relnamespace = 'bullmq'::regnamespace UNION "
        "SELECT proowner FROM pg_proc WHERE pronamespace = 'bullmq'::regnamespace OR proname = 'aicd_wake' UNION "
        "SELECT nspowner FROM pg_namespace WHERE nspname = 'bullmq') AS owners",
    )
    assert owners == [("aicd_owner",)]
    for statement in (b"CREATE TABLE bullmq.mine ()", b"DROP TABLE bullmq.job", b"CREATE SCHEMA mine"):
        with (
            psycopg.connect(database_urls.system) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)


def test_grants_on_the_queue_are_as_declared(database_urls: TestUrls):
    rows = ask(
        database_urls,
        "SELECT grantee, table_name, string_agg(privilege_type, ',' ORDER BY privilege_type) "
        "FROM information_schema.role_table_grants WHERE table_schema = 'bullmq' AND grantee <> 'aicd_owner' "
        "GROUP BY grantee, table_name",
    )
    expected = {("aicd_system", table, "DELETE,INSERT,SELECT,UPDATE") for table in QUEUE_TABLES}
    assert set(rows) == expected | {("aicd_system", "migration", "SELECT")}


async def test_laying_the_queue_again_changes_nothing_and_keeps_what_waits(
    system: SystemDatabase, database_urls: TestUrls, migrate_again
):
    wake = new_wake()
    async with system.write() as session:
        await add_wake(session, wake, 0)
    catalog = "SELECT oid, relname, relowner, relacl::text FROM pg_class WHERE relnamespace = 'bullmq'::regnamespace"
    before = sorted(ask(database_urls, catalog))
    await migrate_again("head")
    assert sorted(ask(database_urls, catalog)) == before
    assert [row[1] for row in waiting(database_urls)] == [wake.key]


async def test_the_queue_goes_with_the_schema_and_comes_back(database_urls: TestUrls, migrate_again):
    await migrate_again("base")
    assert ask(database_urls, "SELECT 1 FROM pg_namespace WHERE nspname = 'bullmq'") == []
    assert ask(database_urls, "SELECT 1 FROM pg_proc WHERE proname = 'aicd_wake'") == []
    await migrate_again("head")
    assert waiting(database_urls) == []


async def test_a_database_with_another_versions_queue_has_to_be_migrated(
    database: Database, database_urls: TestUrls, migrate_again
):
    assert await is_current(database)
    ask(database_urls, "COMMENT ON FUNCTION public.aicd_wake IS 'queue of another version'")
    with pytest.raises(UnavailableError, match="queue is another version's"):
        await require_current(database)
    await migrate_again("head")
    await require_current(database)


@pytest.fixture
def migrate_again(database_urls: TestUrls, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AICD_MIGRATION_DATABASE_URL", database_urls.admin)

    async def run(target: str) -> None:
        assert await asyncio.to_thread(main, [target]) == 0

    return run
