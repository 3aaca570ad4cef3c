"""Brings the queue inside Postgres to what the code says: BullMQ's migrations, as the owner, and then the grants."""

import psycopg
from bullmq.backends.postgres_connection import run_migrations

from aicd_core.db.urls import libpq_url
from aicd_core.migrations.roles import LOCK_MIGRATION
from aicd_core.migrations.wakes import BECOME_OWNER, DROP_QUEUE, OPEN_DATABASE, queue_grants
from aicd_core.queues.schema import QUEUE_SCHEMA


async def migrate_queue(url: str) -> None:
    """Makes or renews BullMQ's schema and `aicd_wake`; a second run changes nothing.

    Args:
        url: the database as a role that may become the owner.
    """
    async with await _connect(url) as connection:
        await _apply(connection, LOCK_MIGRATION, OPEN_DATABASE)
    async with await _connect(url) as connection:
        await connection.execute(BECOME_OWNER.encode())
        await run_migrations(connection, QUEUE_SCHEMA)  # commits
    async with await _connect(url) as connection:
        await _apply(connection, LOCK_MIGRATION, *queue_grants())


async def drop_queue(url: str) -> None:
    """Removes all of it; what waits is lost, and holds no truth."""
    async with await _connect(url) as connection:
        await _apply(connection, LOCK_MIGRATION, *DROP_QUEUE)


async def _connect(url: str) -> psycopg.AsyncConnection:
    plain = libpq_url(url)
    return await psycopg.AsyncConnection.connect(plain)


async def _apply(connection: psycopg.AsyncConnection, *statements: str) -> None:
    """All of the statements, in one transaction."""
    async with connection.transaction():
        for statement in statements:
            await connection.execute(statement.encode())
