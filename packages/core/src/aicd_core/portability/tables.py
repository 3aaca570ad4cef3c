"""Which tables a tenant's data is in, read off the schema, so that a new table cannot be forgotten."""

from typing import Any

from sqlalchemy import Table

from aicd_core.db.base import Base
from aicd_core.migrations.roles import CLOSED
from aicd_core.migrations.tables import METADATA


def tenant_models() -> list[type[Base]]:
    """The models of every table with rows of tenants, each behind those that it refers to."""
    models: dict[str, type[Base]] = {table_of(mapper.class_).name: mapper.class_ for mapper in Base.registry.mappers}
    return [models[table.name] for table in METADATA.sorted_tables if _is_tenants(table)]


def table_of(model: Any) -> Table:
    """A model's table."""
    table: Table = model.__table__
    return table


def _is_tenants(table: Table) -> bool:
    return (table.name == "organizations" or "org_id" in table.columns) and table.name not in CLOSED
