"""Alembic's entry: one connection, one lock, so that two processes never migrate at once."""

import os

from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from aicd_core.migrations.roles import CREATE_ROLES, SCHEMA_GRANTS, grants_of, walls_of
from aicd_core.migrations.tables import METADATA

LOCK = 0x61696364
"""Key of the advisory lock: the letters `aicd`."""


def migrate() -> None:
    """Runs the scripts in one transaction under the lock; then roles, grants and walls are as `roles.py` says."""
    url = make_url(os.environ["AICD_MIGRATION_DATABASE_URL"]).set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool)
    limit = context.config.get_main_option("lock_timeout")
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        connection.execute(text("SELECT set_config('lock_timeout', :limit, true)"), {"limit": limit})
        connection.execute(text(CREATE_ROLES))
        open_walls(connection)
        context.configure(connection=connection, target_metadata=METADATA, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()
        build_walls(connection)


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
