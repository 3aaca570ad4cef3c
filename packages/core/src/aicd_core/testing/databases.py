"""Real Postgres for tests: one server for each test process, a fresh migrated database for each test."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from aicd_core.db.database import Database
from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.ids import new_uuid
from aicd_core.migrations import ensure_current

TEMPLATE = "aicd_template"


@contextmanager
def test_server(root: Path) -> Iterator[str]:
    """A server without fsync under `root`, with a migrated template database; yields its URL."""
    server = EmbeddedPostgres(root, durable=False)
    url = server.start()
    try:
        _execute(url, f"CREATE DATABASE {TEMPLATE}")
        asyncio.run(_migrate(_named(url, TEMPLATE)))
        yield url
    finally:
        server.stop()


@asynccontextmanager
async def fresh_database(server_url: str) -> AsyncIterator[Database]:
    """An empty, migrated database of its own, dropped at the end."""
    name = f"test_{new_uuid().hex}"
    _execute(server_url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    database = Database.connect(_named(server_url, name))
    try:
        yield database
    finally:
        await database.close()
        _execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


async def _migrate(url: str) -> None:
    database = Database.connect(url)
    await ensure_current(database)
    await database.close()


def _named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())
