"""Hostile text in every text field of every table: stored and read back exactly, or refused by name.

Below the services the database itself is asked, through the same driver and session as the program. A text that
Postgres cannot hold (a NUL, half of a surrogate pair) never gets there: `require_text` refuses it first.
"""

from collections.abc import Iterator

import pytest
from sqlalchemy import CheckConstraint, String, Table, select
from sqlalchemy.exc import IntegrityError, OperationalError

from aicd_core.db.database import Database
from aicd_core.errors import AicdError, InvalidInputError
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.values import NewJob
from aicd_core.migrations.tables import METADATA
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.repositories.repository import ensure_repository
from aicd_core.testing.databases import TestUrls
from aicd_core.text import require_text
from isolation_world import TENANT_TABLES, World, engine_of, row_of

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
    for table in TENANT_TABLES:
        for column in table.columns:
            if type(column.type) is String:
                yield table, column.name


def is_checked(table: Table, column: str) -> bool:
    return any(
        isinstance(part, CheckConstraint) and column in str(part.sqltext)
        for part in METADATA.tables[table.name].constraints
    )


FIELDS = [pytest.param(table, name, id=f"{table.name}.{name}") for table, name in text_columns()]


@pytest.mark.parametrize(("table", "column"), FIELDS)
def test_a_text_field_holds_hostile_text_exactly_or_refuses_it_by_its_own_check(
    urls: TestUrls, world: World, table: Table, column: str
):
    engine = engine_of(urls.admin)
    key = table.c.id if table.name == "organizations" else table.c.org_id
    mine = key == world.us.ids["org"]
    texts = STORABLE | {"10 MB": "x" * 10 * MEGABYTE if not table.indexes else "x" * 10_000}
    for text in texts.values():
        with engine.connect() as connection, connection.begin() as transaction:
            try:
                connection.execute(table.update().where(mine).values({column: text}))
            except (IntegrityError, OperationalError) as error:
                if not is_checked(table, column) and "index row" not in str(error):
                    raise AssertionError(f"{table.name}.{column} refused {text[:50]!r}") from error
            else:
                assert connection.execute(select(table.c[column]).where(mine)).scalar_one() == text
            transaction.rollback()
    assert row_of(table, world.us)  # every one of these tables has a row to try it on
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
