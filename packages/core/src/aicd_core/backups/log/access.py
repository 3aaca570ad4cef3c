"""Whether a server lets its log be received, told before anything is begun, with what to say to it."""

import psycopg

from aicd_core.backups.log.repository import keeps_without_end, require_copyable
from aicd_core.backups.values import Tell
from aicd_core.db.urls import libpq_url
from aicd_core.errors import InvalidInputError


async def require_receivable(connection: psycopg.AsyncConnection, url: str, tell: Tell) -> None:
    """Makes sure that the log can be received from here.

    Args:
        connection: an ordinary one to `url`.

    Raises:
        InvalidInputError: `no_replication`, `tablespaces`.
    """
    role = await require_copyable(connection)
    plain = libpq_url(url)
    try:
        # As pg_receivewal connects: pg_hba.conf has lines of its own for it, and "all" does not mean them.
        await (await psycopg.AsyncConnection.connect(plain, replication="true", autocommit=True)).close()
    except psycopg.OperationalError as error:
        raise InvalidInputError(
            f"Postgres does not let {role} receive its log: {str(error).strip()}. If pg_hba.conf has no line for it, "
            f"add `host replication {role} ADDRESS/MASK scram-sha-256` with the address that this process comes from, "
            "and SELECT pg_reload_conf(). A pooler cannot be between them.",
            code="no_replication",
        ) from error
    if await keeps_without_end(connection):
        tell(
            "while this service is stopped the server keeps its log for it until its disk is full; as a superuser: "
            "ALTER SYSTEM SET max_slot_wal_keep_size = '4GB', and SELECT pg_reload_conf()"
        )
