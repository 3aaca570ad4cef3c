"""Brings a database to the schema that this code needs."""

import asyncio
import os
import sys

from aicd_core.db.database import Database
from aicd_core.errors import ConflictError, UnavailableError
from aicd_core.migrations.repository import read_revision

HEAD = "0001"
"""The revision this code works with; a test holds it equal to the newest script."""


async def ensure_current(database: Database) -> None:
    """Migrates the database if it is older than this code; does nothing but one query otherwise.

    Alembic runs in a process of its own: it is slow to import, and nearly every start finds nothing to do.

    Raises:
        UnavailableError: the migration failed; the message holds its last words.
        ConflictError: the database was migrated by newer code.
    """
    async with database.transaction() as session:
        found = await read_revision(session)
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        raise ConflictError(
            f"The database is at schema {found}, and this version of aicd knows only up to {HEAD}. "
            "Use the newer version of aicd that migrated it.",
            code="schema_too_new",
        )
    url = database.engine.url.render_as_string(hide_password=False)
    command = (sys.executable, "-m", "aicd_core.migrations")
    # The URL may hold a password: it travels in the environment, never in argv.
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "AICD_DATABASE_URL": url},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, stderr = await process.communicate()
    if process.returncode != 0:
        last = stderr.decode("utf-8", "replace").strip()[-1000:]
        raise UnavailableError(f"The database could not be migrated to schema {HEAD}: {last}", code="migration_failed")
