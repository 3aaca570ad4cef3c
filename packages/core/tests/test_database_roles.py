"""Who may do what in the database, whatever the application says."""

import re

import psycopg
import pytest
from sqlalchemy import text

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.errors import InvalidInputError
from aicd_core.migrations.roles import APP, APPEND_ONLY, CLOSED, GLOBAL, OPEN, OWNER, SYSTEM, SYSTEM_GRANTS
from aicd_core.migrations.tables import METADATA
from aicd_core.tenancy import Tenant
from aicd_core.testing.databases import TestUrls

SEEN_OF_JOURNALS = ("org_id", "job_id", "created_at")
TENANT_TABLES = sorted(set(METADATA.tables) - GLOBAL - CLOSED)


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


@pytest.mark.parametrize("kind", ["app", "system"])
async def test_the_processes_roles_are_held_by_row_level_security(database_urls: TestUrls, kind: str):
    connections = (Database if kind == "app" else SystemDatabase).connect(getattr(database_urls, kind))
    await connections.refuse_unsafe_role()
    await connections.close()


async def test_a_superuser_and_an_owner_are_refused(database_urls: TestUrls):
    connections = Database.connect(database_urls.admin)
    with pytest.raises(InvalidInputError, match="bypass row-level security"):
        await connections.refuse_unsafe_role()
    await connections.close()
    with psycopg.connect(database_urls.admin, autocommit=True) as connection:
        connection.execute(f"GRANT {OWNER} TO {APP}".encode())
        try:
            connections = Database.connect(database_urls.app)
            with pytest.raises(InvalidInputError, match="owns"):
                await connections.refuse_unsafe_role()
            await connections.close()
        finally:
            connection.execute(f"REVOKE {OWNER} FROM {APP}".encode())


def test_every_table_is_a_tenants_or_declared_to_be_none(database_urls: TestUrls):
    found = {row[0] for row in ask(database_urls.admin, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert found == set(METADATA.tables) | {"alembic_version"}
    for name, table in METADATA.tables.items():
        has_tenant = "org_id" in table.columns or name == "organizations"
        assert has_tenant == (name in TENANT_TABLES or name == "erased_ledgers"), name


def test_row_level_security_is_forced_on_every_table_but_those_named(database_urls: TestUrls):
    rows = ask(
        database_urls.admin,
        "SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity AND relkind = 'r'",
    )
    assert {row[0] for row in rows} == set(METADATA.tables) - OPEN
    policies = ask(database_urls.admin, "SELECT tablename, policyname FROM pg_policies")
    assert {row[0] for row in policies if row[1] == "tenant"} == {*TENANT_TABLES, "erased_ledgers"}
    assert {row[0] for row in policies if row[1] == "accounts"} == GLOBAL - OPEN
    assert {row[0] for row in policies if row[1] == "system"} == set(SYSTEM_GRANTS) - OPEN


def test_grants_are_as_declared(database_urls: TestUrls):
    def granted(role: str) -> dict[str, set[str]]:
        rows = ask(
            database_urls.admin,
            "SELECT table_name, privilege_type FROM information_schema.role_table_grants "
            f"WHERE table_schema = 'public' AND grantee = '{role}'",
        )
        found: dict[str, set[str]] = {}
        for name, privilege in rows:
            found.setdefault(str(name), set()).add(str(privilege))
        return found

    everything = {"SELECT", "INSERT", "UPDATE", "DELETE"}
    app = {name: {"SELECT", "INSERT"} if name in APPEND_ONLY else everything for name in METADATA.tables}
    app |= dict.fromkeys(GLOBAL, everything - {"DELETE"})
    del app["erased_ledgers"]
    assert granted(APP) == app | {"alembic_version": {"SELECT"}}
    whole = {name: re.sub(r"\w+ \([^)]*\)(, )?", "", rights) for name, rights in SYSTEM_GRANTS.items()}
    system = {name: set(rights.split(", ")) for name, rights in whole.items() if rights}
    assert granted(SYSTEM) == system | {"alembic_version": {"SELECT"}}


async def test_a_read_session_cannot_write(database: Database, tenant: Tenant):
    with pytest.raises(Exception, match="read-only transaction"):
        async with database.read(tenant) as session:
            await session.execute(text("DELETE FROM repositories"))


async def test_without_a_tenant_no_row_of_one_is_seen(database: Database, system: SystemDatabase, tenant: Tenant):
    async with database.accounts() as session:
        assert (await session.execute(text("SELECT count(*) FROM organizations"))).scalar_one() == 0
    async with database.read(tenant) as session:
        assert (await session.execute(text("SELECT count(*) FROM organizations"))).scalar_one() == 1


async def test_the_system_role_reads_no_code_secret_or_ledger(system: SystemDatabase):
    closed = ("secrets", "artifacts", "model_calls", "usage_entries", "audit_log", "identities")
    columns = {"journal_contents": ("packed", "sha256"), "checkpoints": ("history", "change_set", "round")}
    columns |= {"users": ("email", "name"), "sessions": ("user_agent", "address")}
    looks = [("1", table) for table in closed]
    looks += [(column, table) for table, names in columns.items() for column in names]
    for column, table in looks:
        with pytest.raises(Exception, match="permission denied"):
            async with system.read() as session:
                await session.execute(text(f"SELECT {column} FROM {table}"))


def test_of_journals_the_system_role_sees_whose_they_are_and_how_old(database_urls: TestUrls):
    rows = ask(
        database_urls.admin,
        "SELECT table_name, column_name FROM information_schema.column_privileges WHERE grantee = 'aicd_system' "
        "AND privilege_type = 'SELECT' AND table_name IN ('journal_contents', 'checkpoints')",
    )
    seen = {(table, column) for table in ("journal_contents", "checkpoints") for column in SEEN_OF_JOURNALS}
    assert set(rows) == seen


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ("CREATE ROLE probe LOGIN IN ROLE aicd_system", "see every organization"),
        ("CREATE ROLE probe LOGIN NOINHERIT IN ROLE aicd_owner", "owns"),
        ("CREATE ROLE boss SUPERUSER; CREATE ROLE probe LOGIN NOINHERIT IN ROLE boss", "bypass"),
        ("CREATE ROLE boss BYPASSRLS; CREATE ROLE probe LOGIN NOINHERIT IN ROLE boss", "bypass"),
        ("CREATE ROLE probe LOGIN SUPERUSER; ALTER ROLE probe SET role = aicd_app", "bypass"),
        (
            "CREATE ROLE probe LOGIN IN ROLE aicd_system, aicd_app; ALTER ROLE probe SET role = aicd_app",
            "see every organization",
        ),
        ("CREATE ROLE probe LOGIN CREATEROLE", "bypass"),
        ("CREATE ROLE probe LOGIN REPLICATION", "bypass"),
        ("CREATE ROLE probe LOGIN IN ROLE pg_execute_server_program", "bypass"),
    ],
)
async def test_what_a_role_could_become_counts_as_well(database_urls: TestUrls, made: str, says: str):
    connections = Database.connect(database_urls.app.replace("aicd_app", "probe"))
    with psycopg.connect(database_urls.admin, autocommit=True) as connection:
        connection.execute(made.encode())
        try:
            with pytest.raises(InvalidInputError, match=says):
                await connections.refuse_unsafe_role()
        finally:
            await connections.close()
            connection.execute(b"DROP ROLE IF EXISTS probe; DROP ROLE IF EXISTS boss")


async def test_the_application_does_not_run_as_the_system_role(database_urls: TestUrls):
    connections = Database.connect(database_urls.system)
    with pytest.raises(InvalidInputError, match="see every organization"):
        await connections.refuse_unsafe_role()
    await connections.close()
