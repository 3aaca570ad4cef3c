"""SQL about the connection itself: whose rows a transaction sees, and what its role could do."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

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


async def read_role(connection: AsyncConnection) -> RoleFacts:
    """Who the connection is, and whether row-level security would hold it."""
    name, bypasses, owns, sees_all = (await connection.execute(_ROLE)).one()
    return RoleFacts(name, bool(bypasses), bool(owns), bool(sees_all))
