"""A whole tenant out as JSON Lines, and erased for good: every table, nobody else's row."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import ARRAY, BigInteger, Column, Connection, Enum, LargeBinary, Table, create_engine, insert
from sqlalchemy.engine import make_url

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.errors import ConflictError, NotFoundError
from aicd_core.ids import OrgId, new_uuid
from aicd_core.migrations import HEAD
from aicd_core.migrations.roles import CLOSED, GLOBAL, OWNER
from aicd_core.migrations.tables import METADATA
from aicd_core.portability import WITHHELD, Erasure, erase, export_lines
from aicd_core.portability.tables import table_of, tenant_models
from aicd_core.tenancy import Tenant
from aicd_core.testing.databases import TestUrls

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
TENANT_TABLES = [table for table in METADATA.sorted_tables if table.name not in GLOBAL | CLOSED]
ODD = {
    ("invitations", "email"): "a@example.test",
    ("jobs", "paused_from"): None,
    ("jobs", "state"): "merged",
    ("organization_settings", "max_concurrent_jobs"): 3,
    ("organization_settings", "minimum_permission"): "write",
    ("secrets", "name"): "MODEL_KEY",
}
"""Columns whose checks want more than a value of the right type."""


def fill(urls: TestUrls, tenant: Tenant) -> None:
    """One row of the tenant's in every table, whatever tables there are; two in those that count."""
    engine = create_engine(make_url(urls.admin).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        made: dict[str, dict[str, Any]] = {"organizations": {"id": tenant.org_id}}
        person = {"id": new_uuid(), "email": f"{tenant.org_id}@example.test", "email_verified": True}
        connection.execute(insert(METADATA.tables["users"]).values(name="", revision=1, **person))
        made["users"] = person
        for table in TENANT_TABLES:
            if table.name != "organizations":
                made[table.name] = add_row(connection, table, tenant, made)
    engine.dispose()


def add_row(connection: Connection, table: Table, tenant: Tenant, made: dict[str, dict[str, Any]]) -> dict[str, Any]:
    values = {
        column.name: value_for(column, tenant, made)
        for column in table.columns
        if column.identity is None and not (column.nullable and not column.foreign_keys)
    }
    values |= {name: value for (where, name), value in ODD.items() if where == table.name}
    connection.execute(insert(table).values(values))
    return values


def value_for(column: Column[Any], tenant: Tenant, made: dict[str, dict[str, Any]]) -> Any:
    if column.name == "org_id":
        return tenant.org_id
    for key in column.foreign_keys:
        target = key.column
        return made[target.table.name][target.name] if target.table.name in made else None
    kind = column.type
    if isinstance(kind, Enum):
        return kind.enums[0]
    if isinstance(kind, LargeBinary):
        return tenant.org_id.bytes
    if isinstance(kind, BigInteger):
        return tenant.org_id.int % 10**6 + 1
    plain: dict[type, Any] = {
        Decimal: Decimal(tenant.org_id.int % 10**6 + 1),
        UUID: new_uuid(),
        bool: True,
        int: 1,
        float: 1.0,
        date: NOW.date(),
        datetime: NOW,
        dict: {"a": "\u202e\n"},
    }
    if isinstance(kind, ARRAY):
        return [tenant.org_id.bytes if isinstance(kind.item_type, LargeBinary) else "a"]
    return plain.get(kind.python_type, f"{column.name}-{tenant.org_id}")


def counts(urls: TestUrls, tenant: Tenant) -> dict[str, int]:
    with psycopg.connect(urls.admin) as connection:
        found = {}
        for table in TENANT_TABLES:
            key = "id" if table.name == "organizations" else "org_id"
            query = f"SELECT count(*) FROM {table.name} WHERE {key} = %s"
            found[table.name] = connection.execute(query.encode(), [tenant.org_id]).fetchone()[0]
    return found


def ask(urls: TestUrls, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


async def export(database: Database, tenant: Tenant) -> list[dict[str, Any]]:
    async with database.snapshot(tenant) as session:
        return [json.loads(line) async for line in export_lines(session, tenant, NOW)]


@pytest.fixture
async def owner(database_urls: TestUrls) -> AsyncIterator[Database]:
    connections = Database.connect(database_urls.admin, pool_size=1)
    yield connections
    await connections.close()


@pytest.fixture
def filled(database_urls: TestUrls, tenant: Tenant, rival: Tenant) -> TestUrls:
    for who in (tenant, rival):
        fill(database_urls, who)
        assert set(counts(database_urls, who).values()) == {1}
    return database_urls


def test_every_tenant_table_is_covered_behind_what_it_refers_to():
    names = [table_of(model).name for model in tenant_models()]
    assert sorted(names) == sorted(table.name for table in TENANT_TABLES)
    for place, model in enumerate(tenant_models()):
        referred = {key.column.table.name for key in table_of(model).foreign_keys} - {names[place]}
        assert referred - GLOBAL <= set(names[:place])


def test_what_is_withheld_names_columns_that_are_there():
    for name, columns in WITHHELD.items():
        assert columns <= set(METADATA.tables[name].columns.keys())


async def test_an_export_has_every_row_of_the_tenant_and_none_of_another(
    filled: TestUrls, database: Database, tenant: Tenant, rival: Tenant
):
    header, *rows, end = await export(database, tenant)
    assert header["format"] == "aicd-organization"
    assert header["organization"] == {"id": str(tenant.org_id), "slug": "acme"}
    assert header["exported_at"] == NOW.isoformat()
    assert [row["table"] for row in rows] == [table_of(model).name for model in tenant_models()]
    assert end == {"end": True, "rows": {table.name: 1 for table in TENANT_TABLES}}
    for row in rows:
        table = METADATA.tables[row["table"]]
        assert set(row["row"]) == set(table.columns.keys()) - WITHHELD.get(table.name, frozenset())
        assert str(rival.org_id) not in json.dumps(row)
    (artifact,) = [row["row"] for row in rows if row["table"] == "artifacts"]
    assert base64.b64decode(artifact["content"]) == tenant.org_id.bytes


async def test_an_export_does_not_count_what_others_have(
    filled: TestUrls, database: Database, tenant: Tenant, rival: Tenant
):
    first = await export(database, tenant)
    fill_job_events = (
        "INSERT INTO job_events (org_id, job_id, version, state, detail) SELECT org_id, id, n, state, '{}' "
    )
    ask(filled, f"{fill_job_events} FROM jobs, generate_series(100, 150) n WHERE org_id = '{rival.org_id}'")
    ask(filled, f"{fill_job_events} FROM jobs, generate_series(100, 100) n WHERE org_id = '{tenant.org_id}'")
    second = await export(database, tenant)
    (new,) = [line["row"] for line in second[1:-1] if line not in first]
    assert [name for name, value in new.items() if isinstance(value, int)] == ["version"]


async def test_an_export_shows_one_moment(filled: TestUrls, database: Database, tenant: Tenant):
    async with database.snapshot(tenant) as session:
        lines = export_lines(session, tenant, NOW)
        first = await anext(lines)
        ask(filled, f"UPDATE organizations SET name = 'later' WHERE id = '{tenant.org_id}'")
        ask(filled, f"DELETE FROM secrets WHERE org_id = '{tenant.org_id}'")
        rest = [json.loads(line) async for line in lines]
    assert json.loads(first)["schema"] == HEAD
    assert rest[-1]["rows"]["secrets"] == 1
    assert "later" not in json.dumps(rest)


async def test_a_tenant_that_is_not_there_has_no_export(database: Database):
    with pytest.raises(NotFoundError):
        await export(database, Tenant(new_uuid()))


async def test_erasing_leaves_the_sums_of_the_ledger_and_everybody_else(
    filled: TestUrls, owner: Database, tenant: Tenant, rival: Tenant
):
    cost = tenant.org_id.int % 10**6 + 1
    ask(
        filled,
        "INSERT INTO usage_entries (org_id, job_id, entry_key, input_tokens, cached_input_tokens, cache_write_tokens, "
        "output_tokens, cost_micro_usd) SELECT org_id, id, n::text, 0, 0, 0, 0, 10 FROM jobs, generate_series(1, 7) n "
        f"WHERE org_id = '{tenant.org_id}'",
    )
    told: list[Erasure] = []
    await erase(owner, tenant, now=NOW, batch=3, observe=told.append)
    assert set(counts(filled, tenant).values()) == {0}
    assert set(counts(filled, rival).values()) == {1}
    kept = ask(filled, "SELECT org_id, entries, cost_micro_usd FROM erased_ledgers")
    assert kept == [(tenant.org_id, 8, cost + 70)]
    assert [each.rows for each in told if each.table == "usage_entries"] == [3, 6, 8]
    assert ask(filled, "SELECT count(*) FROM users") == [(2,)]
    await erase(owner, tenant, now=NOW)
    assert ask(filled, "SELECT entries FROM erased_ledgers") == [(8,)]


async def test_broken_off_anywhere_it_goes_on_where_it_stopped(filled: TestUrls, owner: Database, tenant: Tenant):
    cost = tenant.org_id.int % 10**6 + 1
    for stop_at in range(1, 40):
        steps = 0

        def observe(_: Erasure) -> None:
            nonlocal steps
            steps += 1
            if steps == 1:
                raise KeyboardInterrupt

        try:
            await erase(owner, tenant, now=NOW, batch=1, observe=observe)
            break
        except KeyboardInterrupt:
            assert stop_at < 40
    assert set(counts(filled, tenant).values()) == {0}
    assert ask(filled, "SELECT entries, cost_micro_usd FROM erased_ledgers") == [(1, cost)]


async def test_jobs_at_work_are_not_taken_away_unless_forced(filled: TestUrls, owner: Database, tenant: Tenant):
    ask(filled, f"UPDATE jobs SET state = 'coding', lease_owner = 'w' WHERE org_id = '{tenant.org_id}'")
    with pytest.raises(ConflictError) as caught:
        await erase(owner, tenant, now=NOW)
    assert caught.value.code == "jobs_at_work"
    assert set(counts(filled, tenant).values()) == {1}
    await erase(owner, tenant, now=NOW, force=True)
    assert set(counts(filled, tenant).values()) == {0}


async def test_somebody_who_still_writes_is_named_as_the_trouble(filled: TestUrls, owner: Database, tenant: Tenant):
    def write_again(progress: Erasure) -> None:
        if progress.table == "job_events":
            ask(
                filled,
                "INSERT INTO job_events (org_id, job_id, version, state, detail) "
                f"SELECT org_id, id, 99, 'failed', '{{}}' FROM jobs WHERE org_id = '{tenant.org_id}'",
            )

    with pytest.raises(ConflictError) as caught:
        await erase(owner, tenant, now=NOW, observe=write_again)
    assert caught.value.code == "still_written"
    await erase(owner, tenant, now=NOW)
    assert set(counts(filled, tenant).values()) == {0}


async def test_keys_that_replace_each_other_are_erased_newest_first(
    filled: TestUrls, owner: Database, tenant: Tenant, system: SystemDatabase
):
    for _ in range(3):
        ask(
            filled,
            "INSERT INTO api_keys (id, org_id, name, prefix, key_hash, scopes, replaces) SELECT "
            f"'{new_uuid()}', org_id, name, '{new_uuid()}', key_hash, scopes, id FROM api_keys "
            f"WHERE org_id = '{tenant.org_id}' ORDER BY id DESC LIMIT 1",
        )
    await erase(owner, tenant, now=NOW + timedelta(days=1), batch=1)
    assert counts(filled, tenant)["api_keys"] == 0


async def test_the_applications_role_cannot_erase(filled: TestUrls, database: Database, tenant: Tenant):
    with pytest.raises(Exception, match="permission denied"):
        await erase(database, tenant, now=NOW)
    assert set(counts(filled, tenant).values()) == {1}


async def test_a_migrating_role_that_is_no_superuser_erases_within_the_wall(
    filled: TestUrls, tenant: Tenant, rival: Tenant
):
    role = f"migrator_{new_uuid().hex}"
    ask(filled, f"CREATE ROLE {role} LOGIN IN ROLE {OWNER}")
    url = make_url(filled.admin).set(username=role).render_as_string(hide_password=False)
    migrator = Database.connect(url, pool_size=1)
    try:
        await erase(migrator, tenant, now=NOW)
    finally:
        await migrator.close()
        ask(filled, f"DROP ROLE {role}")
    assert set(counts(filled, tenant).values()) == {0}
    assert set(counts(filled, rival).values()) == {1}


async def test_an_organization_of_another_database_is_not_said_to_be_erased(filled: TestUrls, owner: Database):
    stranger = Tenant(OrgId(new_uuid()))
    with pytest.raises(NotFoundError, match="another database"):
        await erase(owner, stranger, now=NOW)
    assert ask(filled, f"SELECT 1 FROM erased_ledgers WHERE org_id = '{stranger.org_id}'") == []
