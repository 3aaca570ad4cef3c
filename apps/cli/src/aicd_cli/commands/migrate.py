"""`aicd migrate`: the database to the schema of this code, with its roles, grants and walls."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import typer

from aicd_cli.exit_codes import ExitCode
from aicd_cli.options import AsJson, DataDir
from aicd_cli.process import run_process
from aicd_cli.runtime import load_settings, prepare_data_dir
from aicd_core.db.database import Database
from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.errors import ConflictError, InvalidInputError
from aicd_core.migrations import HEAD, migrate
from aicd_core.migrations.repository import read_revision
from aicd_core.settings import Settings

EXAMPLE = "Example:  AICD_MIGRATION_DATABASE_URL=postgresql://postgres@db:5432/aicd aicd migrate"


def command(
    to: Annotated[str, typer.Option("--to", metavar="REVISION", help="The schema wanted.")] = HEAD,
    drop_data: Annotated[
        bool, typer.Option("--drop-data", help="Go back to an older schema, and lose what only the newer one holds.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Bring the database to the schema of this version of aicd, and its roles and grants to what they should be.

    It connects with AICD_MIGRATION_DATABASE_URL, as a role that may create tables and roles; where that is not
    set, the embedded database is migrated. A second run changes nothing.
    """

    async def work() -> ExitCode:
        async with owner_url(load_settings(data_dir)) as url:
            before = await _revision(url)
            await migrate(url, _target(before, to, drop_data=drop_data))
            after = await _revision(url)
        if as_json:
            sys.stdout.write(json.dumps({"before": before, "after": after}) + "\n")
        else:
            sys.stdout.write(f"schema before: {before or 'none'}\nschema after:  {after or 'none'}\n")
        return ExitCode.OK

    run_process(work, as_json=as_json)


@asynccontextmanager
async def owner_url(settings: Settings) -> AsyncIterator[str]:
    """The URL of the database as a role that may become the tables' owner; the embedded server runs meanwhile.

    Raises:
        InvalidInputError: the database is the operator's own, and that role's URL is not set.
    """
    if settings.migration_database_url:
        yield settings.migration_database_url
        return
    if settings.database_url:
        raise InvalidInputError(
            "AICD_DATABASE_URL is set, and AICD_MIGRATION_DATABASE_URL is not. Set it to the same database as a role "
            "that may create tables and roles.",
            code="migration_database_missing",
        )
    embedded = EmbeddedPostgres(prepare_data_dir(settings) / "postgres")
    try:
        yield await asyncio.to_thread(embedded.start)
    finally:
        embedded.stop()


async def _revision(url: str) -> str | None:
    database = Database.connect(url)
    try:
        async with database.accounts() as session:
            return await read_revision(session)
    finally:
        await database.close()


def _target(before: str | None, wanted: str, *, drop_data: bool) -> str:
    """What to tell Alembic: the revision itself on the way up, the number of steps on the way down.

    Revisions are numbers of four digits, without a gap.
    """
    if not wanted.isdecimal() or len(wanted) != len(HEAD) or not 1 <= int(wanted) <= int(HEAD):
        raise InvalidInputError(f"There is no schema {wanted!r}; the newest is {HEAD}.", code="no_such_revision")
    if before is None or before <= wanted:
        return wanted
    if before > HEAD:
        raise ConflictError(
            f"The database is at schema {before}, and this version of aicd knows only up to {HEAD}. Use the version of "
            "aicd that migrated it.",
            code="schema_too_new",
        )
    if not drop_data:
        raise InvalidInputError(
            f"The database is at schema {before}; going back to {wanted} drops tables and what is in them. Make a "
            "backup, and say --drop-data if that is meant.",
            code="would_drop_data",
        )
    return f"-{int(before) - int(wanted)}"
