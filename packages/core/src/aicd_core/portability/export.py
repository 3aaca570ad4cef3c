"""A tenant's whole data as JSON Lines.

The first line says what follows, then comes one line for each row, and the last line counts them: a file without it
was cut off. Tables come in an order in which each row refers only to rows above it.
"""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any
from uuid import UUID

from aicd_core.db.sessions import ReadSession
from aicd_core.migrations.repository import read_revision
from aicd_core.portability.repository import stream_rows
from aicd_core.portability.tables import table_of, tenant_models
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.service import require_organization

FORMAT, VERSION = "aicd-organization", 1

_SECRET: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "api_keys": frozenset({"key_hash"}),
        "invitations": frozenset({"token_hash"}),
        "secrets": frozenset({"ciphertext"}),
        "named_requests": frozenset({"answer"}),
    }
)
"""Columns that are no use outside of this database and a danger on a disk: what credentials are checked against, and
secrets, whose keys the operator has."""


def _withheld() -> dict[str, frozenset[str]]:
    """By table. A running number counts all tenants' rows: two exports would tell how busy the others were."""
    found = {}
    for table in map(table_of, tenant_models()):
        running = frozenset(column.name for column in table.columns if column.identity is not None)
        if columns := _SECRET.get(table.name, frozenset()) | running:
            found[table.name] = columns
    return found


WITHHELD: Mapping[str, frozenset[str]] = MappingProxyType(_withheld())
"""Columns that an export leaves out; nothing refers to one of them."""


async def export_lines(session: ReadSession, tenant: Tenant, now: datetime) -> AsyncIterator[str]:
    """The lines, each with its line feed, of everything the tenant has.

    Args:
        session: a `Database.snapshot`, so that all rows are of one moment.

    Raises:
        NotFoundError: there is no such organization.
    """
    organization = await require_organization(session, tenant)
    yield _line(
        {
            "format": FORMAT,
            "version": VERSION,
            "schema": await read_revision(session),
            "organization": {"id": tenant.org_id, "slug": organization.slug},
            "exported_at": now,
            "withheld": {name: sorted(columns) for name, columns in WITHHELD.items()},
        }
    )
    counts: dict[str, int] = {}
    for model in tenant_models():
        name = table_of(model).name
        counts[name] = 0
        async for row in stream_rows(session, tenant, model, WITHHELD.get(name, frozenset())):
            counts[name] += 1
            yield _line({"table": name, "row": row})
    yield _line({"end": True, "rows": counts})


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, default=_encode, separators=(",", ":")) + "\n"


def _encode(value: object) -> object:
    """What JSON has no form for: days and times as ISO 8601, bytes as base64, numbers of any length as text."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"A column holds a {type(value).__name__}, for which the export has no form.")
