"""Alembic's entry: one connection, one lock, so that two processes never migrate at once."""

import os
import time
from collections.abc import Iterator
from types import ModuleType

from alembic import context
from psycopg.errors import QueryCanceled
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from aicd_core.migrations.compatibility import comment_on, oldest_code_for
from aicd_core.migrations.roles import CREATE_ROLES, LOCK_MIGRATION, SCHEMA_GRANTS, grants_of, walls_of
from aicd_core.migrations.tables import METADATA

ATTEMPT_MS = 600
"""Milliseconds that queries may have to wait behind one attempt to get all tables."""


def migrate() -> None:
    """Runs the scripts in one transaction under the lock; then roles, grants and walls are as `roles.py` says."""
    url = make_url(os.environ["AICD_MIGRATION_DATABASE_URL"]).set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool)
    patience = float(context.config.get_main_option("lock_patience") or 0)
    with engine.begin() as connection:
        connection.execute(text(LOCK_MIGRATION))
        connection.execute(text(CREATE_ROLES))
        take_tables(connection, patience)
        open_walls(connection)
        context.configure(connection=connection, target_metadata=METADATA, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()
        build_walls(connection)
        connection.execute(text(comment_on(oldest_code_for(applied()))))


def applied() -> Iterator[ModuleType]:
    """The migrations that the database now has."""
    revision = context.get_context().get_current_revision()
    for script in context.script.iterate_revisions(revision, "base") if revision else ():
        yield script.module


def take_tables(connection: Connection, patience: float) -> None:
    """Locks every table for the rest of the transaction, all at once or none, while others are at work.

    An attempt is cut off before Postgres looks for deadlocks (1 s), and then the tables are left to them for as long:
    no transaction is broken off because of a migration, it only waits for a moment.

    Args:
        patience: seconds to go on trying for.

    Raises:
        OperationalError: some transaction held a table all the time.
    """
    tables = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
    deadline = time.monotonic() + patience
    while tables:
        try:
            with connection.begin_nested():
                connection.execute(text(f"SET LOCAL statement_timeout = {ATTEMPT_MS}"))
                connection.execute(text(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE"))
                connection.execute(text("SET LOCAL statement_timeout TO DEFAULT"))
        except OperationalError as error:
            if not isinstance(error.orig, QueryCanceled) or time.monotonic() > deadline:
                raise
            time.sleep(ATTEMPT_MS / 1000)
        else:
            return


def open_walls(connection: Connection) -> None:
    """Lets the scripts see every tenant's rows and drop any table, until `build_walls` in the same transaction.

    A superuser sees them anyway; to a migrating role that is none but may become the owner, a forced table looks empty,
    and a script that fills a column would pass over all rows. Nobody else sees the walls open: the locks are held.
    """
    forced = text("SELECT relname FROM pg_class WHERE relforcerowsecurity AND relnamespace = 'public'::regnamespace")
    policies = text("SELECT policyname, tablename FROM pg_policies WHERE schemaname = 'public'")
    statements = [f"DROP POLICY {name} ON {table}" for name, table in connection.execute(policies)]
    statements += [f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY" for table in connection.execute(forced).scalars()]
    for statement in statements:
        connection.execute(text(statement))


def build_walls(connection: Connection) -> None:
    """Owner, grants and row-level security of every table that is there."""
    statements = [*SCHEMA_GRANTS]
    present = text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    for table in connection.execute(present).scalars():
        statements += [*grants_of(table), *walls_of(table)]
    for statement in statements:
        connection.execute(text(statement))


migrate()
