"""SQL about a server's log: who may receive it, how far it was received, and the end of reading it."""

from collections.abc import Iterable
from datetime import datetime

import psycopg
from psycopg import sql

from aicd_core.errors import InvalidInputError

_ROLE = b"SELECT current_user, rolsuper OR rolreplication, rolsuper FROM pg_roles WHERE rolname = current_user"
_SPACES = b"SELECT spcname::text FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY 1"
_KEPT = b"SELECT current_setting('max_slot_wal_keep_size')"
_SLOT = b"SELECT wal_status, active FROM pg_replication_slots WHERE slot_name = %s"
_RECEIVED = b"SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND restart_lsn >= %s::pg_lsn"
_SEGMENT = b"SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'"
_MARK = b"SELECT now(), pg_logical_emit_message(true, 'aicd', '')"


async def require_copyable(connection: psycopg.AsyncConnection) -> str:
    """Makes sure that this role may have a copy of the whole cluster, and its log; the role's name.

    Raises:
        InvalidInputError: `no_replication`, `tablespaces`.
    """
    role, replicates, _ = (await (await connection.execute(_ROLE)).fetchall())[0]
    if not replicates:
        raise InvalidInputError(
            f"The database role {role} may not receive the log of Postgres. Say to it, as a superuser: "
            f"ALTER ROLE {role} REPLICATION",
            code="no_replication",
        )
    if spaces := [name for (name,) in await (await connection.execute(_SPACES)).fetchall()]:
        raise InvalidInputError(
            f"The server has tablespaces ({', '.join(spaces)}), and only what lies in its data folder can be "
            "copied. Leave --wal-every out, and keep its log with pgBackRest.",
            code="tablespaces",
        )
    return str(role)


async def require_superuser(connection: psycopg.AsyncConnection) -> None:
    """Makes sure that no row is hidden from this role, and that it may set the server's parameters.

    Raises:
        InvalidInputError: `no_superuser`.
    """
    role, _, superuser = (await (await connection.execute(_ROLE)).fetchall())[0]
    if not superuser:
        raise InvalidInputError(
            f"{role} is no superuser, and of a whole server that was restored only one sees every row. Set "
            "AICD_MIGRATION_DATABASE_URL to the same database as a superuser.",
            code="no_superuser",
        )


async def keeps_without_end(connection: psycopg.AsyncConnection) -> bool:
    """Whether the server keeps its log for a receiver that is away until its disk is full."""
    ((kept,),) = await (await connection.execute(_KEPT)).fetchall()
    return bool(kept == "-1")


async def make_slot(connection: psycopg.AsyncConnection, slot: str) -> bool:
    """Has the server keep its log for a receiver; True when that begins now, and what was before is not kept."""
    found = await (await connection.execute(_SLOT, (slot,))).fetchall()
    if found and found[0][0] != "lost":
        return False
    if found:
        await connection.execute(b"SELECT pg_drop_replication_slot(%s)", (slot,))
    await connection.execute(b"SELECT pg_create_physical_replication_slot(%s, true)", (slot,))
    return True


async def is_slot_taken(connection: psycopg.AsyncConnection, slot: str) -> bool:
    """Whether somebody receives the log on a slot."""
    found = await (await connection.execute(_SLOT, (slot,))).fetchall()
    return bool(found and found[0][1])


async def read_segment_size(connection: psycopg.AsyncConnection) -> int:
    """How long each file of the server's log is, in bytes."""
    ((size,),) = await (await connection.execute(_SEGMENT)).fetchall()
    return int(size)


async def mark_log(connection: psycopg.AsyncConnection) -> datetime:
    """Commits something that is in no table, only in the log; the moment before that, by the server's clock.

    Reading a log up to a moment ends at the first thing committed after it, and fails where nothing was.
    """
    ((now, _),) = await (await connection.execute(_MARK)).fetchall()
    assert isinstance(now, datetime), "timestamptz"
    return now


async def read_position(connection: psycopg.AsyncConnection) -> str:
    """Where the server's log ends."""
    ((position,),) = await (await connection.execute(b"SELECT pg_current_wal_flush_lsn()::text")).fetchall()
    return str(position)


async def has_received(connection: psycopg.AsyncConnection, slot: str, position: str) -> bool:
    """Whether the receiver has the log on its disk up to a position."""
    return bool(await (await connection.execute(_RECEIVED, (slot, position))).fetchall())


async def is_recovering(connection: psycopg.AsyncConnection) -> bool:
    """Whether the server still reads its log."""
    ((recovering,),) = await (await connection.execute(b"SELECT pg_is_in_recovery()")).fetchall()
    return bool(recovering)


async def forget_recovery(connection: psycopg.AsyncConnection, names: Iterable[str]) -> None:
    """Takes out of `postgresql.auto.conf` what was set there for reading the log."""
    for name in names:
        await connection.execute(sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name)))
