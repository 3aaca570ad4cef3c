"""Migrations after the first shipped level keep to docs/releasing-migrations.md; Squawk reads their SQL."""

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from aicd_core.migrations.__main__ import configuration
from aicd_core.migrations.compatibility import FIRST_LEVEL, oldest_code_for
from aicd_core.migrations.tables import METADATA

SQUAWK = Path(sys.executable).with_name("squawk")
TASTE = ("prefer-text-field", "prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-robust-stmts")
GIVEN = ("require-lock-timeout", "require-statement-timeout")
"""env.py takes the locks, in attempts that end."""
SLOW = frozenset(
    {
        *("require-concurrent-index-creation", "require-concurrent-index-deletion", "constraint-missing-not-valid"),
        *("adding-foreign-key-constraint", "disallowed-unique-constraint", "rewrites-rows", "ban-drop-constraint"),
    }
)
"""What may go on for long while all tables are locked, or refuse what older code writes: `excused` says why not here.
Everything else that is found breaks older code: `needs_code` says which code it waits for."""
ROWS = re.compile(r"^(UPDATE|DELETE|INSERT|TRUNCATE|MERGE)\b", re.MULTILINE | re.IGNORECASE)


def sql_of(migration: Any) -> str:
    """The SQL of its way up, without a database."""
    told = StringIO()
    options = {"as_sql": True, "output_buffer": told, "target_metadata": METADATA}
    with Operations.context(MigrationContext.configure(dialect_name="postgresql", opts=options)):
        migration.upgrade()
    return told.getvalue()


def findings(sql: str) -> set[str]:
    """The names of the rules that the statements break."""
    command = [SQUAWK, "--assume-in-transaction", "--pg-version=16", "--reporter=json", "--stdin-filepath=it.sql"]
    command.append("--exclude=" + ",".join((*TASTE, *GIVEN)))
    done = subprocess.run(command, input=sql, capture_output=True, text=True)
    assert done.returncode in {0, 1}, done.stderr
    found = {finding["rule_name"] for finding in json.loads(done.stdout or "[]")}
    return found | ({"rewrites-rows"} if ROWS.search(sql) else set())


def faults(migration: Any) -> list[str]:
    """What stands against releasing it, each in a sentence; none for a migration that keeps to the rule."""
    excused = getattr(migration, "excused", {})
    needed = getattr(migration, "needs_code", None)
    found = findings(sql_of(migration))
    told = [
        f"{name}: say in `excused` why it neither takes long nor refuses what older code writes"
        for name in sorted(found & SLOW - set(excused))
    ]
    if needed is None:
        told += [f"{name}: breaks older code; say `needs_code`, or do it later" for name in sorted(found - SLOW)]
    elif not FIRST_LEVEL <= needed <= migration.down_revision:
        told.append(f"needs_code = {needed!r}: the level before, {migration.down_revision}, has to go on working")
    told += [f"{name}: is excused, and is not there" for name in sorted(set(excused) - found)]
    return told


def test_migrations_since_the_first_shipped_level_leave_older_code_working():
    scripts = ScriptDirectory.from_config(configuration()).walk_revisions()
    told = {script.revision: faults(script.module) for script in scripts if script.revision > FIRST_LEVEL}
    assert {revision: found for revision, found in told.items() if found} == {}


def _add_not_null() -> None:
    op.add_column("jobs", sa.Column("mood", sa.String(), nullable=False))


def _set_not_null() -> None:
    op.alter_column("jobs", "reason", nullable=False)


def _rename() -> None:
    op.alter_column("jobs", "reason", new_column_name="why")


def _retype() -> None:
    op.alter_column("jobs", "round", type_=sa.BigInteger())


def _index() -> None:
    op.create_index("ix_jobs_reason", "jobs", ["reason"])


def _check() -> None:
    op.create_check_constraint("mood", "jobs", "round < 9")


def _fill() -> None:
    op.execute("UPDATE jobs SET reason = 'none' WHERE reason IS NULL")


def _expand() -> None:
    op.add_column("jobs", sa.Column("mood", sa.String(), server_default="good", nullable=False))
    op.create_table("moods", sa.Column("id", sa.Uuid(), primary_key=True), sa.Column("name", sa.String()))
    op.create_index("ix_moods_name", "moods", ["name"])


BREAKS = {
    "adding-required-field": _add_not_null,
    "adding-not-nullable-field": _set_not_null,
    "renaming-column": _rename,
    "changing-column-type": _retype,
    "ban-drop-column": lambda: op.drop_column("jobs", "reason"),
    "ban-drop-table": lambda: op.drop_table("job_log"),
    "renaming-table": lambda: op.rename_table("job_log", "logs"),
}
LASTS = {"require-concurrent-index-creation": _index, "constraint-missing-not-valid": _check, "rewrites-rows": _fill}


@pytest.mark.parametrize("rule", BREAKS)
def test_what_breaks_older_code_waits_for_the_code_that_does_without(rule: str):
    what = {"upgrade": BREAKS[rule], "down_revision": "0020"}
    assert f"{rule}: breaks older code; say `needs_code`, or do it later" in faults(SimpleNamespace(**what))
    assert not [told for told in faults(SimpleNamespace(**what, needs_code="0020")) if "breaks" in told]
    (told,) = [told for told in faults(SimpleNamespace(**what, needs_code="0021")) if "needs_code" in told]
    assert told == "needs_code = '0021': the level before, 0020, has to go on working"


@pytest.mark.parametrize("rule", LASTS)
def test_what_may_last_or_refuse_says_why_it_does_not(rule: str):
    what = {"upgrade": LASTS[rule], "down_revision": "0020"}
    (told,) = faults(SimpleNamespace(**what))
    assert told.startswith(f"{rule}: say in `excused`")
    assert faults(SimpleNamespace(**what, excused={rule: "The table has a row for each organization."})) == []


def test_what_only_adds_needs_no_word_and_an_excuse_for_nothing_is_told():
    what = SimpleNamespace(upgrade=_expand, down_revision="0020")
    assert faults(what) == []
    what.excused = {"rewrites-rows": "There are few."}
    assert faults(what) == ["rewrites-rows: is excused, and is not there"]


def test_a_schema_needs_the_newest_code_that_one_of_its_migrations_needs():
    def migration(**names: str) -> ModuleType:
        made = ModuleType("migration")
        vars(made).update(names)
        return made

    assert oldest_code_for([]) == oldest_code_for([migration()]) == FIRST_LEVEL
    assert oldest_code_for([migration(), migration(needs_code="0021"), migration(needs_code="0019")]) == "0021"
