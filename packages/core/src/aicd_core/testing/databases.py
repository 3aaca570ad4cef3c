"""Real Postgres for tests: one server for each test process, a fresh migrated database for each test."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.ids import new_uuid
from aicd_core.migrations import migrate

TEMPLATE = "aicd_template"
MEMORY = Path("/dev/shm")  # noqa: S108 the folder made there has a random name
"""Files in memory. A copy of a database is 10 MB in 300 files, and costs a disk five times as much processor time."""
ROOM = 1 << 30
"""Bytes that must be free there."""


@dataclass(frozen=True)
class TestUrls:
    """One database, as each role."""

    __test__ = False  # not a pytest class

    admin: str
    app: str
    system: str

    @classmethod
    def of(cls, server_url: str, database: str) -> "TestUrls":
        return cls(*(_as(server_url, role, database) for role in ("postgres", "aicd_app", "aicd_system")))


@contextmanager
def migrated_server(root: Path, *, durable: bool) -> Iterator[str]:
    """A server under `root`, with or without fsync, with a migrated template database; yields its superuser's URL."""
    server = EmbeddedPostgres(root, durable=durable)
    try:
        url = server.start()
        _execute(url, f"CREATE DATABASE {TEMPLATE}")
        asyncio.run(migrate(TestUrls.of(url, TEMPLATE).admin))
        yield url
    finally:
        server.stop()


@contextmanager
def test_server(root: Path) -> Iterator[str]:
    """A `migrated_server` without fsync, in memory where that has room, else under `root`."""
    with _in_memory() as place, migrated_server(place or root, durable=False) as url:
        yield url


@contextmanager
def _in_memory() -> Iterator[Path | None]:
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < ROOM:
        yield None
        return
    for folder in MEMORY.glob("aicd-tests-*"):
        if not Path("/proc", folder.name.split("-")[2]).exists():  # its process was killed
            shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"aicd-tests-{os.getpid()}-", dir=MEMORY) as made:
        Path(made).chmod(0o711)  # for the server's own user
        yield Path(made, "server")


@contextmanager
def fresh_urls(server_url: str, template: str = TEMPLATE) -> Iterator[TestUrls]:
    """A migrated database of its own, dropped at the end: empty, or a copy of the one that `template` names."""
    name = f"test_{new_uuid().hex}"
    _execute(server_url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield TestUrls.of(server_url, name)
    finally:
        _execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def opened(urls: TestUrls, *, pool_size: int = 5) -> AsyncIterator[tuple[Database, SystemDatabase]]:
    """The database as the application and as the system role, closed at the end."""
    app = Database.connect(urls.app, pool_size=pool_size)
    system = SystemDatabase.connect(urls.system, pool_size=pool_size)
    try:
        yield app, system
    finally:
        await app.close()
        await system.close()


def _as(url: str, role: str, database: str) -> str:
    return make_url(url).set(username=role, database=database).render_as_string(hide_password=False)


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())
