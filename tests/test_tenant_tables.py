"""The database's wall around every tenant table, walked with plain SQL: what it holds even against our own mistakes."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import (
    Connection,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    insert,
    text,
)
from sqlalchemy.exc import IntegrityError, ProgrammingError

from aicd_core.db.repository import TENANT_VARIABLE
from aicd_core.ids import new_uuid
from aicd_core.migrations.roles import APPEND_ONLY
from aicd_core.migrations.tables import METADATA
from aicd_core.testing.databases import TestUrls
from isolation_world import ROWS, TENANT_TABLES, Who, World, engine_of, key_of, row_of

TENANT_NAMES = {table.name for table in TENANT_TABLES}
GLOBAL_KEYS = {
    ("organizations", "slug"): "A slug is public: it stands in URLs. That it is taken is said at sign-up, to anybody.",
    ("api_keys", "prefix"): "Random, made by us; nobody chooses one, so nobody can try one.",
    ("invitations", "token_hash"): "SHA-256 of a random token made by us.",
    ("installations", "host, external_id"): "Only a code host's verified message names one; it belongs to one tenant.",
    ("billing_accounts", "provider, customer"): "The payment provider makes the name; no tenant chooses one.",
    ("stripe_events", "external_id"): "Written by the system role alone, from verified messages.",
    ("deliveries", "source, external_id"): "Written by the system role alone, from verified messages.",
    ("deliveries", "source, body_hash"): "Written by the system role alone, from verified messages.",
}
"""Unique keys without the tenant in them, and why a conflict tells a tenant nothing."""


@pytest.fixture
def connection(urls: TestUrls, world: World) -> Iterator[Connection]:
    """A transaction as the application's role, keyed to us; rolled back at the end."""
    engine = engine_of(urls.app)
    with engine.connect() as opened, opened.begin() as transaction:
        become(opened, str(world.us.ids["org"]))
        yield opened
        transaction.rollback()
    engine.dispose()


@pytest.fixture
def admin(urls: TestUrls) -> Iterator[Connection]:
    """A transaction as the superuser, whom no row-level security holds."""
    engine = engine_of(urls.admin)
    with engine.connect() as opened, opened.begin() as transaction:
        yield opened
        transaction.rollback()
    engine.dispose()


def become(connection: Connection, org: str) -> None:
    connection.execute(text("SELECT set_config(:name, :org, true)"), {"name": TENANT_VARIABLE, "org": org})


def touched(connection: Connection, statement: str, **values: object) -> int:
    """How many rows a statement changed; none when the role may not even try."""
    try:
        with connection.begin_nested():
            return connection.execute(text(statement), values).rowcount
    except ProgrammingError as error:
        if "permission denied" not in str(error):
            raise
        return 0


def another(who: Who, name: str) -> Who:
    """Somebody of the same organization and job, whose own keys are new."""
    fresh = Who(name, who.number + 1)
    kept = {kind: who.ids[kind] for kind in ("org", "user", "job", "installation", "repository", "export")}
    return replace(fresh, ids={**fresh.ids, **kept})


def planted_row(table: Table, who: Who) -> dict[str, object]:
    """A row like the one of `who`, under a key that no row has."""
    values = row_of(table, who)
    return values | {"id": new_uuid()} if "id" in values else values


def refusal(connection: Connection, table: Table, values: dict[str, object]) -> str | None:
    """The class of the error that an INSERT is refused with, None when it is not."""
    try:
        with connection.begin_nested():
            connection.execute(insert(table).values(**values))
    except (ProgrammingError, IntegrityError) as error:
        return f"{type(error.orig).__name__}: {str(error.orig).splitlines()[0]}"
    return None


def test_every_tenant_table_has_rows_in_this_test(admin: Connection, world: World):
    for table in TENANT_TABLES:
        assert table.name in ROWS, f"{table.name} has no coverage: give it a row in tests/isolation_world.py."
        for who in (world.us, world.rival):
            query = text(f"SELECT count(*) FROM {table.name} WHERE {key_of(table)} = :org")
            assert admin.execute(query, {"org": who.ids["org"]}).scalar_one() == 1, table.name


@pytest.mark.parametrize("table", TENANT_TABLES, ids=str)
def test_a_tenant_sees_and_counts_its_own_rows_only(connection: Connection, table: Table, world: World):
    counted = f"SELECT count(*), count(*) FILTER (WHERE {key_of(table)} = :rival) FROM {table.name}"
    rival = {"rival": world.rival.ids["org"]}
    assert tuple(connection.execute(text(counted), rival).one()) == (1, 0)
    estimated = connection.execute(text(f"SELECT 1 FROM {table.name} WHERE {key_of(table)} = :rival"), rival)
    assert estimated.first() is None
    become(connection, "")
    assert tuple(connection.execute(text(counted), rival).one()) == (0, 0)


@pytest.mark.parametrize("table", TENANT_TABLES, ids=str)
def test_a_tenant_changes_and_removes_no_row_of_another(connection: Connection, table: Table, world: World):
    key, rival = key_of(table), world.rival.ids["org"]
    assert touched(connection, f"UPDATE {table.name} SET {key} = {key} WHERE {key} = :rival", rival=rival) == 0
    assert touched(connection, f"DELETE FROM {table.name} WHERE {key} = :rival", rival=rival) == 0
    everything = touched(connection, f"UPDATE {table.name} SET {key} = {key}")
    assert everything == (0 if table.name in APPEND_ONLY else 1)
    become(connection, "")
    assert touched(connection, f"UPDATE {table.name} SET {key} = {key}") == 0
    assert touched(connection, f"DELETE FROM {table.name}") == 0


@pytest.mark.parametrize("table", TENANT_TABLES, ids=str)
def test_a_tenant_puts_no_row_into_another(connection: Connection, table: Table, world: World):
    planted = planted_row(table, another(world.rival, "planted"))
    refused = refusal(connection, table, planted)
    assert refused is not None
    assert "violates row-level security policy" in refused
    with pytest.raises(ProgrammingError, match=r"row-level security|permission denied"), connection.begin_nested():
        connection.execute(text(f"UPDATE {table.name} SET {key_of(table)} = :rival"), {"rival": world.rival.ids["org"]})


def test_a_tenant_reaches_no_login(connection: Connection, world: World):
    login = {"user": world.us.ids["user"], "subject": "1"}
    insertion = text("INSERT INTO identities VALUES ('https://login.test', :subject, :user)")
    with pytest.raises(ProgrammingError, match="row-level security"), connection.begin_nested():
        connection.execute(insertion, login)
    become(connection, "")
    connection.execute(insertion, login)
    assert connection.execute(text("SELECT count(*) FROM identities")).scalar_one() == 1
    become(connection, str(world.us.ids["org"]))
    for table in ("identities", "sessions"):
        assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0
        assert touched(connection, f"UPDATE {table} SET user_id = user_id") == 0


def test_the_database_deletes_no_person_for_the_application(connection: Connection, world: World):
    become(connection, "")
    for table in ("users", "identities", "sessions"):
        with pytest.raises(ProgrammingError, match="permission denied"), connection.begin_nested():
            connection.execute(text(f"DELETE FROM {table}"))


REFERENCES = [
    pytest.param(table, constraint, id=f"{table.name} -> {constraint.referred_table.name}")
    for table in TENANT_TABLES
    for constraint in sorted(table.foreign_key_constraints, key=lambda key: sorted(key.column_keys))
    if constraint.referred_table.name in TENANT_NAMES - {"organizations"}
]


@pytest.mark.parametrize(("table", "constraint"), REFERENCES)
def test_a_row_cannot_refer_to_a_row_of_another_tenant(
    admin: Connection, connection: Connection, table: Table, constraint: ForeignKeyConstraint, world: World
):
    assert "org_id" in constraint.column_keys, f"{table.name} refers across tenants"
    (column,) = set(constraint.column_keys) - {"org_id"}
    kind = {"replaces": "api_key"}.get(column, column.removesuffix("_id"))
    for role in (admin, connection):
        planted = planted_row(table, another(world.us, "planted"))
        to_theirs = refusal(role, table, planted | {column: world.rival.ids[kind]})
        to_none = refusal(role, table, planted | {column: world.nobody.ids[kind]})
        assert to_theirs is not None
        assert "ForeignKeyViolation" in to_theirs
        assert to_theirs == to_none


def unique_keys(table: Table) -> Iterator[tuple[str, ...]]:
    """The columns or expressions of every unique key of a table, its primary key left out."""
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield tuple(column.name for column in constraint.columns)
    for index in table.indexes:
        if isinstance(index, Index) and index.unique:
            yield tuple(str(part).rpartition(".")[2] for part in index.expressions)


def test_a_unique_key_is_a_tenants_own_or_known_to_tell_nothing():
    found = {
        (table.name, ", ".join(columns))
        for table in TENANT_TABLES
        for columns in unique_keys(table)
        if "org_id" not in columns
    }
    assert found == set(GLOBAL_KEYS)


def test_a_primary_key_is_nothing_that_a_tenant_chooses():
    for table in TENANT_TABLES:
        key = next(part for part in table.constraints if isinstance(part, PrimaryKeyConstraint))
        names = [column.name for column in key.columns]
        # Behind the tenant, whatever else is in the key is of that tenant alone.
        assert names == ["id"] or names[0] == "org_id", table.name
        drawn = METADATA.tables[table.name].columns[names[0]]
        assert drawn.identity is not None or drawn.type.python_type.__name__ == "UUID", table.name


@pytest.mark.parametrize("table", [table for table in TENANT_TABLES if table.name != "organizations"], ids=str)
def test_a_value_that_the_rival_has_is_free_for_us_unless_its_key_is_global(
    connection: Connection, table: Table, world: World
):
    if any(name == table.name for name, _ in GLOBAL_KEYS) or "org_id" in table.primary_key.columns:
        pytest.skip("its key is global and declared so, or it has one row for each tenant")
    # The rival's own words under our ids: only the references and the keys that we draw differ.
    copy = replace(world.rival, ids={**another(world.us, "copy").ids, "user": world.rival.ids["user"]})
    values = planted_row(table, copy)
    changed = {"policies": {"version": 2}, "audit_log": {}}.get(table.name, {})
    for column, value in (("number", 5), ("round", 5), ("entry_key", "other"), ("subject", "other")):
        if column in table.columns and table.name != "jobs":
            changed[column] = value
    if table.name == "job_events":
        changed = {"version": 5}
    assert refusal(connection, table, values | changed) is None
