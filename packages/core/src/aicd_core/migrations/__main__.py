"""`python -m aicd_core.migrations [REVISION]`: migrates the database of AICD_MIGRATION_DATABASE_URL."""

import asyncio
import os
import sys

from alembic import command
from alembic.config import Config

from aicd_core.migrations.queue import drop_queue, migrate_queue

LOCK_PATIENCE = 60.0
"""Seconds after which a migration gives up that did not get its tables, because some transaction stays open."""


def configuration() -> Config:
    """Alembic's configuration; there is no ini file to keep in step."""
    config = Config()
    config.set_main_option("script_location", "aicd_core:migrations")
    config.set_main_option("path_separator", "os")
    config.set_main_option("lock_patience", str(LOCK_PATIENCE))
    return config


def main(arguments: list[str]) -> int:
    """Upgrades (or, for an older revision or `base`, downgrades) the schema and the queue; returns the exit code."""
    url = os.environ.get("AICD_MIGRATION_DATABASE_URL")
    if not url:
        sys.stderr.write("Set AICD_MIGRATION_DATABASE_URL to the database to migrate.\n")
        return 2
    target = arguments[0] if arguments else "head"
    move = command.downgrade if target == "base" or target.startswith("-") else command.upgrade
    move(configuration(), target)
    asyncio.run(drop_queue(url) if target == "base" else migrate_queue(url))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
