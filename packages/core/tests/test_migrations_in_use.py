"""Migrating a database that others use: other migrators, workers in the middle of a transaction, older code."""

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from aicd_core.db.database import Database
from aicd_core.errors import ConflictError
from aicd_core.migrations import HEAD, is_current, require_current
from aicd_core.migrations.compatibility import FIRST_LEVEL, comment_on
from aicd_core.migrations.roles import LOCK_MIGRATION
from aicd_core.testing.chaos.installation import wait_until
from aicd_core.testing.databases import TestUrls, fresh_urls
from versions import next_version

NEXT, AFTER = f"{int(HEAD) + 1:04}", f"{int(HEAD) + 2:04}"


@contextlib.contextmanager
def connected(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def waiting(urls: TestUrls, statement: str) -> int:
    """How many connections to the database wait for a lock with that statement."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock' AND query LIKE %s"
    with connected(urls.admin) as looker:
        (found,) = looker.execute(count, (make_url(urls.admin).database, f"{statement}%")).fetchone()
    return found


@contextlib.contextmanager
def migrator(urls: TestUrls) -> Iterator["subprocess.Popen[str]"]:
    """A process that migrates the database."""
    environment = {**os.environ, "AICD_MIGRATION_DATABASE_URL": urls.admin}
    command = [sys.executable, "-m", "aicd_core.migrations"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    said = process.communicate()[1]
    return process.returncode, said


def test_two_processes_that_migrate_an_empty_database_at_once_take_turns(postgres_url: str):
    with fresh_urls(postgres_url, "template0") as urls:
        with connected(urls.admin) as holder, migrator(urls) as one, migrator(urls) as other:
            with holder.transaction():
                holder.execute(LOCK_MIGRATION)
                wait_until(lambda: waiting(urls, LOCK_MIGRATION) == 2, "two migrators that wait")
                assert holder.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,)
            assert [ended(one), ended(other)] == [(0, ""), (0, "")]
        with connected(urls.admin) as looker:
            assert looker.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]


def test_a_migration_waits_for_those_at_work_and_breaks_off_nobodys_transaction(database_urls: TestUrls):
    """The transaction holds a table that the migration wants, and then wants one that the migration holds."""
    with connected(database_urls.app) as worker, migrator(database_urls) as process:
        with worker.transaction():
            worker.execute("SELECT count(*) FROM users")  # one of the last
            for _ in range(3):
                wait_until(lambda: waiting(database_urls, "LOCK TABLE") == 1, "a migration that waits")
                worker.execute("SELECT count(*) FROM api_keys")  # one of the first
                worker.execute("SELECT pg_sleep(0.1)")
        assert ended(process) == (0, "")


@pytest.mark.parametrize(("level", "oldest"), [(NEXT, FIRST_LEVEL), (NEXT, HEAD), (AFTER, HEAD)])
async def test_a_newer_schema_that_still_fits_this_code_is_worked_on(
    database_urls: TestUrls, database: Database, caplog: pytest.LogCaptureFixture, level: str, oldest: str
):
    with connected(database_urls.admin) as newer:
        newer.execute(f"UPDATE alembic_version SET version_num = '{level}'")
        newer.execute(comment_on(oldest))
        newer.execute("COMMENT ON FUNCTION public.aicd_wake IS 'the queue of a newer version'")
    with caplog.at_level(logging.INFO):
        await require_current(database)
    assert f"the database is at schema {level}, and this version of aicd knows {HEAD}; they fit" in caplog.text


@pytest.mark.parametrize(
    ("comment", "told"),
    [
        (comment_on(NEXT), f"needs one that knows {NEXT}. Use the newer version"),
        ("COMMENT ON TABLE alembic_version IS NULL", "needs a newer one. Use the newer version"),
        ("COMMENT ON TABLE alembic_version IS 'fits whatever'", "needs a newer one. Use the newer version"),
    ],
)
async def test_a_newer_schema_that_does_not_say_that_it_fits_this_code_is_refused(
    database_urls: TestUrls, database: Database, comment: str, told: str
):
    with connected(database_urls.admin) as newer:
        newer.execute(f"UPDATE alembic_version SET version_num = '{NEXT}'")
        newer.execute(comment)
    with pytest.raises(ConflictError, match=told) as refused:
        await is_current(database)
    assert refused.value.code == "schema_too_new"


def test_every_migration_says_which_code_the_schema_still_fits(database_urls: TestUrls):
    ask = "SELECT obj_description('alembic_version'::regclass, 'pg_class')"
    with connected(database_urls.admin) as admin:
        assert admin.execute(ask).fetchone() == (f"fits aicd of level {FIRST_LEVEL} and newer",)
        admin.execute("COMMENT ON TABLE alembic_version IS NULL")
        with migrator(database_urls) as process:
            assert ended(process) == (0, "")
        assert admin.execute(ask).fetchone() == (f"fits aicd of level {FIRST_LEVEL} and newer",)


async def test_a_migration_that_needs_newer_code_turns_older_code_away(
    database_urls: TestUrls, database: Database, tmp_path: Path
):
    newer = next_version(tmp_path, None, NEXT)
    environment = {**os.environ, "AICD_MIGRATION_DATABASE_URL": database_urls.admin}
    command = [*newer.within(), sys.executable, "-m", "aicd_core.migrations"]
    await asyncio.to_thread(subprocess.run, [*command, NEXT], env=environment, check=True)
    await require_current(database)
    await asyncio.to_thread(subprocess.run, [*command, AFTER], env=environment, check=True)
    with pytest.raises(ConflictError, match=f"at schema {AFTER}, .* needs one that knows {NEXT}"):
        await require_current(database)
