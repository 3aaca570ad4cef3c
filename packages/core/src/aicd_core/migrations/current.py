"""Brings a database to the schema that this code needs, and refuses one that it does not fit."""

import asyncio
import logging
import os
import sys

from aicd_core.db.database import Database
from aicd_core.db.embedded_faults import DISK_FULL, NO_SPACE
from aicd_core.errors import ConflictError, UnavailableError
from aicd_core.migrations.repository import read_oldest_code, read_queue_mark, read_revision
from aicd_core.migrations.wakes import QUEUE_MARK

HEAD = "0021"
"""The revision this code works with; a test holds it equal to the newest script."""


_LOG = logging.getLogger(__name__)


async def is_current(database: Database) -> bool:
    """Whether this code can work on the database's schema and queue as they are; False when they are older.

    While a new version is rolled out, and after a way back to the old one, the schema is newer than the code. A newer
    schema says itself which code it still fits, and laid the queue so that it does (docs/operations.md).

    Raises:
        ConflictError: the database was migrated by newer code, and no longer fits this one.
    """
    async with database.accounts() as session:
        found = await read_revision(session)
        mark = await read_queue_mark(session)
        oldest = await read_oldest_code(session)
    if found is None or found <= HEAD:
        return found == HEAD and mark == QUEUE_MARK
    if oldest is None or oldest > HEAD:
        needed = "a newer one" if oldest is None else f"one that knows {oldest}"
        raise ConflictError(
            f"The database is at schema {found}, and this version of aicd knows only up to {HEAD}; that schema needs "
            f"{needed}. Use the newer version of aicd that migrated it.",
            code="schema_too_new",
        )
    _LOG.info("the database is at schema %s, and this version of aicd knows %s; they fit", found, HEAD)
    return True


async def revision_of(database: Database) -> str | None:
    """The schema that the database is at; None before its first migration."""
    async with database.accounts() as session:
        return await read_revision(session)


async def require_current(database: Database) -> None:
    """Refuses a database whose schema is older than this code, or whose queue is not this code's.

    Raises:
        UnavailableError: it has to be migrated first.
        ConflictError: as `is_current`.
    """
    if not await is_current(database):
        raise UnavailableError(
            f"The database is not at schema {HEAD} yet, or its queue is another version's. Run `aicd migrate` with "
            "AICD_MIGRATION_DATABASE_URL set.",
            code="schema_too_old",
        )


async def migrate(url: str, target: str = "head") -> None:
    """Brings the database of a URL to the newest schema, and its roles, grants and walls to what the code says.

    Alembic runs in a process of its own: it is slow to import, and nearly every start finds nothing to do. The URL may
    hold a password: it travels in the environment, never in argv.

    Raises:
        UnavailableError: the migration failed; the message holds its last words.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aicd_core.migrations", target),
        env={**os.environ, "AICD_MIGRATION_DATABASE_URL": url},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, stderr = await process.communicate()
    if process.returncode != 0:
        said = stderr.decode("utf-8", "replace").strip()
        if NO_SPACE in said:
            raise UnavailableError(
                f"The database could not be migrated to {target}: its disk is full. Free some space and run the "
                "command again; nothing is lost.",
                code=DISK_FULL,
            )
        raise UnavailableError(
            f"The database could not be migrated to {target}: {said[-1000:]}", code="migration_failed"
        )
