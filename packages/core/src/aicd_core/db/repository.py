"""SQL about the connection itself: whose rows a transaction sees, and what its role could do."""

from dataclasses import dataclass

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from aicd_core.ids import OrgId

TENANT_VARIABLE = "aicd.org_id"
"""The variable that row-level security is keyed on; set for one transaction only."""

_BEGIN = text(
    f"SELECT set_config('{TENANT_VARIABLE}', :org, true), set_config('transaction_read_only', :read_only, true)"
).bindparams(bindparam("org"), bindparam("read_only"))

_ROLE = text(
    "SELECT current_user, rolsuper OR rolbypassrls, "
    "EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' "
    "AND pg_has_role(c.relowner, 'USAGE')) "
    "FROM pg_roles WHERE rolname = current_user"
)


@dataclass(frozen=True)
class RoleFacts:
    """What the database says about the role of a connection."""

    name: str
    bypasses: bool
    owns: bool


async def bind(session: AsyncSession, org_id: OrgId | None, *, read_only: bool) -> None:
    """Keys the transaction to a tenant (SET LOCAL: it ends with the transaction), or to none."""
    values = {"org": str(org_id) if org_id else "", "read_only": "on" if read_only else "off"}
    await session.execute(_BEGIN, values)


async def read_role(connection: AsyncConnection) -> RoleFacts:
    """Who the connection is, and whether row-level security would hold it."""
    name, bypasses, owns = (await connection.execute(_ROLE)).one()
    return RoleFacts(name, bool(bypasses), bool(owns))
