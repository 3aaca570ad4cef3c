"""SQL about the connection itself: whose rows a transaction sees, and what its role could do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from aicd_core.db.calls import Call
from aicd_core.db.message import exchange
from aicd_core.ids import OrgId

TENANT_VARIABLE = "aicd.org_id"
"""The variable that row-level security is keyed on; set for one transaction only."""

SYSTEM_ROLE = "aicd_system"
"""The role that sees all tenants."""

_ROLE = text(
    "WITH could AS (SELECT * FROM pg_roles r "
    "WHERE pg_has_role(current_user, r.oid, 'MEMBER') OR pg_has_role(session_user, r.oid, 'MEMBER')) "
    "SELECT session_user, "
    "EXISTS (SELECT FROM could WHERE rolsuper OR rolbypassrls OR rolcreaterole OR rolreplication "
    "OR rolname = ANY(:host)), "
    "EXISTS (SELECT FROM pg_class c JOIN could ON could.oid = c.relowner "
    "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')), "
    "EXISTS (SELECT FROM could WHERE rolname = :system)"
).bindparams(system=SYSTEM_ROLE, host=["pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"])
"""What the role is, and what it could become by SET ROLE: a membership that is not inherited counts as well.

Who logged in counts too, since RESET ROLE leads back to it. Making roles is as good as any role (before Postgres 16,
CREATEROLE hands out every role but a superuser), replication streams every row, and whoever reaches the server's files
or programs reads around the database.
"""

_KEY = f"SELECT set_config('{TENANT_VARIABLE}', $1, true)".encode()
"""As SET LOCAL, with a parameter."""


@dataclass(frozen=True)
class RoleFacts:
    """What the database says about the role of a connection."""

    name: str
    bypasses: bool
    owns: bool
    sees_all: bool


async def begin(connection: AsyncConnection, org_id: OrgId | None, *, read_only: bool, isolation: str) -> None:
    """Begins a transaction keyed to a tenant, or to none (SET LOCAL: the key ends with the transaction).

    Both in one round trip, as one simple query, which takes no parameters: a UUID's text needs no quoting. The engine
    leaves the beginning to us (`AUTOCOMMIT`), and still sends COMMIT and ROLLBACK. Were this forgotten, no row of any
    tenant would be seen.

    Raises:
        OperationalError: it cannot; `connection_invalidated` says that the server has closed the connection.
    """
    key = str(UUID(int=org_id.int)) if org_id else ""
    mode = f"ISOLATION LEVEL {isolation} {'READ ONLY' if read_only else 'READ WRITE'}"
    statement = f"BEGIN {mode}; SET LOCAL {TENANT_VARIABLE} = '{key}'"
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        await driver.execute(statement.encode(), prepare=False)
    except psycopg.Error as error:
        # As SQLAlchemy would have it: it does not see what is said to the driver.
        raise OperationalError(statement, None, error, connection_invalidated=driver.closed) from error


async def run_calls(
    connection: psycopg.AsyncConnection[Any], org_id: OrgId | None, calls: Sequence[Call]
) -> Sequence[tuple[Any, ...]]:
    """Runs the calls in one transaction keyed to a tenant, or to none; the rows of the last one.

    All of it is one message and one answer: in a pipeline, what stands before its end is one transaction
    (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING), and each statement sees what
    was committed before it began.
    """
    key = [] if org_id is None else [(_KEY, (str(UUID(int=org_id.int)),))]
    return await exchange(connection, [*key, *((call.prepared.sql, call.parameters) for call in calls)])


async def settle(connection: psycopg.AsyncConnection[Any]) -> None:
    """Readies a new connection for `run_calls`: every statement is planned once, not five times over.

    What goes through there looks rows up by key, for which the values make no difference to the plan.
    """
    await connection.execute(b"SET plan_cache_mode = force_generic_plan")


async def listen(connection: psycopg.AsyncConnection[Any], channel: str) -> None:
    """Has the connection told of a channel's notices."""
    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))


async def read_role(connection: AsyncConnection) -> RoleFacts:
    """Who the connection is, and whether row-level security would hold it."""
    name, bypasses, owns, sees_all = (await connection.execute(_ROLE)).one()
    return RoleFacts(name, bool(bypasses), bool(owns), bool(sees_all))
