"""The schema's history: up, down, and nothing left for autogenerate to find."""

import subprocess
import sys

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text

from aicd_core.db.database import Database
from aicd_core.errors import ConflictError
from aicd_core.migrations import HEAD, ensure_current
from aicd_core.migrations.__main__ import configuration, main


def url_of(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)


async def tables(database: Database) -> set[str]:
    async with database.transaction() as session:
        rows = await session.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        return set(rows.scalars())


def test_the_code_expects_the_newest_script():
    assert ScriptDirectory.from_config(configuration()).get_current_head() == HEAD


async def test_the_models_and_the_migrations_describe_the_same_schema(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AICD_DATABASE_URL", url_of(database))
    command.check(configuration())


async def test_the_schema_goes_down_to_nothing_and_up_again(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AICD_DATABASE_URL", url_of(database))
    before = await tables(database)
    assert main(["base"]) == 0
    assert await tables(database) == {"alembic_version"}
    await ensure_current(database)
    assert await tables(database) == before


async def test_a_database_of_newer_code_is_refused(database: Database):
    async with database.transaction() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConflictError, match="newer version"):
        await ensure_current(database)


def test_without_a_database_the_command_says_what_to_set():
    done = subprocess.run(
        [sys.executable, "-m", "aicd_core.migrations"], env={}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "AICD_DATABASE_URL" in done.stderr
