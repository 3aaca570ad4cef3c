"""Hostile text in every text field of every table: stored and read back exactly, or refused by name.

Below the services the database itself is asked, through the same driver and session as the program. A text that
Postgres cannot hold (a NUL, half of a surrogate pair) never gets there: `require_text` refuses it first.
"""

from collections.abc import Iterator

import pytest
from sqlalchemy import CheckConstraint, ColumnElement, Connection, String, Table, Text, select
from sqlalchemy.exc import IntegrityError, OperationalError

from aicd_core.db.database import Database
from aicd_core.errors import AicdError, InvalidInputError
from aicd_core.ids import new_uuid
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.values import NewJob
from aicd_core.migrations.roles import GLOBAL
from aicd_core.migrations.tables import METADATA
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.repositories.repository import ensure_repository
from aicd_core.testing.databases import TestUrls
from aicd_core.text import require_text
from isolation_world import NOW, TENANT_TABLES, World, engine_of

MEGABYTE = 1_000_000
STORABLE = {
    "injection": "'; DROP TABLE jobs; --",
    "quoted injection": "\"; DELETE FROM organizations WHERE '1'='1",
    "placeholders": "%s %(org)s :org $1 {0} \\x00 \\' %%",
    "bidi": "\u202eabc\u202c \u2066x\u2069 \u200b",
    "astral": "\U0001f9ea\U00010348 e\u0301",
    "controls": "\x01\x1b[31m\r\n\t\x7f",
}
UNSTORABLE = {"NUL": "a\x00b", "lone surrogate": "a\ud800b", "low surrogate": "\udc00"}


def text_columns() -> Iterator[tuple[Table, str]]:
    """Every column of free text; words from a list are checked by the database and not free."""
    for table in (*TENANT_TABLES, *(METADATA.tables[name] for name in sorted(GLOBAL))):
        for column in table.columns:
            if type(column.type) in {String, Text}:
                yield table, column.name


def is_checked(table: Table, column: str) -> bool:
    return any(
        isinstance(part, CheckConstraint) and column in str(part.sqltext)
        for part in METADATA.tables[table.name].constraints
    )


def row_to_try(connection: Connection, table: Table, world: World) -> ColumnElement[bool]:
    """Finds one row, made first where the world has none, by columns that hold no free text."""
    user = world.us.ids["user"]
    if table.name in GLOBAL:
        logins: dict[str, dict[str, object]] = {
            "identities": {"issuer": "https://login.test", "subject": "1", "user_id": user},
            "sessions": {"id": new_uuid(), "user_id": user, "token_hash": b"", "user_agent": "", "address": ""}
            | dict.fromkeys(("last_used_at", "idle_until", "ends_at"), NOW),
        }
        if table.name in logins:
            connection.execute(table.insert().values(logins[table.name]))
        return (table.c.id if table.name == "users" else table.c.user_id) == user
    return (table.c.id if table.name == "organizations" else table.c.org_id) == world.us.ids["org"]


FIELDS = [pytest.param(table, name, id=f"{table.name}.{name}") for table, name in text_columns()]


@pytest.mark.parametrize(("table", "column"), FIELDS)
def test_a_text_field_holds_hostile_text_exactly_or_refuses_it_by_its_own_check(
    urls: TestUrls, world: World, table: Table, column: str
):
    engine = engine_of(urls.admin)
    for text in (STORABLE | {"10 MB": "x" * 10 * MEGABYTE}).values():
        with engine.connect() as connection, connection.begin() as transaction:
            mine = row_to_try(connection, table, world)
            try:
                with connection.begin_nested():
                    assert connection.execute(table.update().where(mine).values({column: text})).rowcount == 1
            except (IntegrityError, OperationalError) as error:
                if not is_checked(table, column) and "index row" not in str(error):
                    raise AssertionError(f"{table.name}.{column} refused {text[:50]!r}") from error
            else:
                assert connection.execute(select(table.c[column]).where(mine)).scalar_one() == text
            transaction.rollback()
    engine.dispose()


@pytest.mark.parametrize("text", STORABLE.values(), ids=STORABLE)
async def test_a_job_keeps_its_texts_exactly(database: Database, tenant: Tenant, text: str):
    async with database.write(tenant) as session:
        repository_id = await ensure_repository(session, tenant, text)
        new = NewJob(repository_id, "dummy", text, text * 10, "main", "a" * 40, 60.0)
        job_id = await jobs.insert_job(session, tenant, new)
        assert job_id is not None
        job = await jobs.get_job(session, tenant, job_id)
    assert job is not None
    assert (job.title, job.body) == (text, text * 10)


async def test_a_body_of_ten_megabytes_comes_back_whole(database: Database, tenant: Tenant):
    body = "\u00e4'%\n" * (10 * MEGABYTE // 5)
    async with database.write(tenant) as session:
        repository_id = await ensure_repository(session, tenant, "/srv/repo")
        new = NewJob(repository_id, "dummy", "Title", body, "main", "a" * 40, 60.0)
        job_id = await jobs.insert_job(session, tenant, new)
        assert job_id is not None
        job = await jobs.get_job(session, tenant, job_id)
    assert job is not None
    assert job.body == body


@pytest.mark.parametrize("text", UNSTORABLE.values(), ids=UNSTORABLE)
def test_what_the_database_cannot_hold_is_refused_with_a_sentence(text: str):
    with pytest.raises(InvalidInputError) as caught:
        require_text(text, "The name", most=100)
    assert isinstance(caught.value, AicdError)
    assert caught.value.code == "bad_character"


@pytest.mark.parametrize("text", STORABLE.values(), ids=STORABLE)
def test_what_it_can_hold_passes_unchanged(text: str):
    assert require_text(text, "The name", most=100) == text
    with pytest.raises(InvalidInputError, match="it may have at most 3"):
        require_text(text, "The name", most=3)
