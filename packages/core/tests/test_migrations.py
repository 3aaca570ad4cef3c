"""The schema's history: up, down, and nothing left for autogenerate to find."""

import asyncio
import subprocess
import sys

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from aicd_core.db.database import Database
from aicd_core.errors import UnavailableError
from aicd_core.ids import new_uuid
from aicd_core.migrations import HEAD, is_current, migrate, require_current
from aicd_core.migrations.__main__ import configuration, main
from aicd_core.testing.databases import TestUrls

VARIABLE = "AICD_MIGRATION_DATABASE_URL"


def ask(urls: TestUrls, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def tables(urls: TestUrls) -> set[object]:
    return {row[0] for row in ask(urls, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def test_the_code_expects_the_newest_script():
    assert ScriptDirectory.from_config(configuration()).get_current_head() == HEAD


def test_the_models_and_the_migrations_describe_the_same_schema(
    database_urls: TestUrls, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(VARIABLE, database_urls.admin)
    command.check(configuration())


def test_the_checks_of_the_models_are_in_the_database(database_urls: TestUrls):
    from aicd_core.migrations.tables import METADATA

    found = {row[0] for row in ask(database_urls, "SELECT conname FROM pg_constraint WHERE contype = 'c'")}
    expected = {
        str(constraint.name)
        for table in METADATA.tables.values()
        for constraint in table.constraints
        if type(constraint).__name__ == "CheckConstraint"
    }
    assert expected <= found


async def test_the_schema_goes_down_to_nothing_and_up_again(
    database_urls: TestUrls, database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(VARIABLE, database_urls.admin)
    before = tables(database_urls)
    assert await asyncio.to_thread(main, ["base"]) == 0
    assert tables(database_urls) == {"alembic_version"}
    with pytest.raises(UnavailableError, match="aicd migrate"):
        await require_current(database)
    await migrate(database_urls.admin)
    assert tables(database_urls) == before
    assert await is_current(database)


def test_rows_of_the_first_schema_survive_the_way_up(database_urls: TestUrls, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(VARIABLE, database_urls.admin)
    command.downgrade(configuration(), "0001")
    ask(database_urls, "INSERT INTO organizations (id, slug) VALUES (gen_random_uuid(), 'early')")
    main(["head"])
    assert ask(database_urls, "SELECT slug, name, revision FROM organizations") == [("early", "early", 1)]


async def test_a_role_that_is_no_superuser_migrates_rows_of_every_tenant(database_urls: TestUrls):
    role = f"migrator_{new_uuid().hex}"
    url = make_url(database_urls.admin)
    ask(database_urls, f"CREATE ROLE {role} LOGIN CREATEROLE")
    ask(database_urls, f"GRANT aicd_owner TO {role} WITH ADMIN OPTION")
    ask(database_urls, f"ALTER DATABASE {url.database} OWNER TO {role}")
    migrator = url.set(username=role).render_as_string(hide_password=False)
    try:
        await migrate(migrator, f"-{int(HEAD) - 1}")
        ask(database_urls, "INSERT INTO organizations (id, slug) VALUES (gen_random_uuid(), 'early')")
        await migrate(migrator)
        assert ask(database_urls, "SELECT slug, name FROM organizations") == [("early", "early")]
        unforced = "SELECT relname FROM pg_class WHERE relrowsecurity AND NOT relforcerowsecurity"
        assert ask(database_urls, unforced) == []
    finally:
        ask(database_urls, f"ALTER DATABASE {url.database} OWNER TO postgres")
        ask(database_urls, f"REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_migration_that_cannot_get_a_lock_gives_up_and_changes_nothing(
    database_urls: TestUrls, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(VARIABLE, database_urls.admin)
    hasty = configuration()
    hasty.set_main_option("lock_patience", "0")
    command.downgrade(hasty, "0001")
    with psycopg.connect(database_urls.app) as reader:
        reader.execute("SELECT 1 FROM jobs")  # in a transaction that stays open
        with pytest.raises(OperationalError, match="LOCK TABLE"):
            command.upgrade(hasty, "head")
        assert ask(database_urls, "SELECT version_num FROM alembic_version") == [("0001",)]
        assert ("organizations",) in ask(database_urls, "SELECT relname FROM pg_class WHERE relforcerowsecurity")
    main(["head"])
    assert ask(database_urls, "SELECT version_num FROM alembic_version") == [(HEAD,)]


def test_calls_checkpoints_and_sums_of_the_ledger_survive_the_way_up(
    database_urls: TestUrls, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(VARIABLE, database_urls.admin)
    command.downgrade(configuration(), "0002")
    ids = {name: new_uuid() for name in ("org", "repository", "job")}
    rows = {
        "organizations": "(id, slug, name, revision) VALUES ('{org}', 'early', 'Early', 1)",
        "repositories": "(id, org_id, source, revision) VALUES ('{repository}', '{org}', '/srv/early', 1)",
        "jobs": """(id, org_id, repository_id, state, version, round, plan_attempts, agent, title, body, issue_key,
            base_branch, base_sha, seconds_worked, time_limit) VALUES
            ('{job}', '{org}', '{repository}', 'coding', 0, 1, 0, 'a', 't', 'b', 'k', 'main', 'a', 0, 1)""",
        "checkpoints": """(org_id, job_id, round, number, patch, history) VALUES
            ('{org}', '{job}', 1, 0, 'change', 'said')""",
        "model_calls": """(org_id, job_id, step, number, request_hash, model, request, reply) VALUES
            ('{org}', '{job}', 'plan/0', 0, 'hash', 'm', 'asked', 'answered')""",
        "usage_entries": """(org_id, job_id, entry_key, input_tokens, cached_input_tokens, cache_write_tokens,
            output_tokens, cost_micro_usd, created_at) VALUES
            ('{org}', '{job}', 'one', 0, 0, 0, 0, 5, '2026-10-31 23:59:59+00'),
            ('{org}', '{job}', 'two', 0, 0, 0, 0, 7, '2026-11-01 00:00:00+00')""",
    }
    for table, row in rows.items():
        ask(database_urls, f"INSERT INTO {table} {row.format(**ids)}")
    main(["head"])
    assert ask(database_urls, "SELECT calls, change_set, history FROM checkpoints") == [(0, b"change", b"said")]
    job, repository = f"job/{ids['job']}", ids["repository"]
    assert dict(ask(database_urls, "SELECT subject, micro_usd FROM spending")) == {
        job: 12,
        f"issue/{repository}/k": 12,
        f"repository/{repository}/2026-10": 5,
        f"repository/{repository}/2026-11": 7,
        "organization/2026-10": 5,
        "organization/2026-11": 7,
    }
    assert ask(database_urls, "SELECT step, number FROM model_calls") == [("plan/0", 0)]
    command.downgrade(configuration(), "0007")
    assert ask(database_urls, "SELECT request, reply FROM model_calls") == [(b"asked", b"answered")]


async def test_a_failed_migration_says_so(database_urls: TestUrls):
    ask(database_urls, "UPDATE alembic_version SET version_num = '7777'")
    with pytest.raises(UnavailableError, match="7777"):
        await migrate(database_urls.admin)


async def test_a_migration_that_fills_the_disk_says_that(database_urls: TestUrls):
    ask(database_urls, "UPDATE alembic_version SET version_num = 'No space left on device'")
    with pytest.raises(UnavailableError, match="disk is full") as caught:
        await migrate(database_urls.admin)
    assert caught.value.code == "no_disk_space"


def test_without_a_database_the_command_says_what_to_set():
    done = subprocess.run(
        [sys.executable, "-m", "aicd_core.migrations"], env={}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert VARIABLE in done.stderr
