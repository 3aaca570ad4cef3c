"""The application's wall: the one way in which a query is confined to a tenant.

The other wall is the database's row-level security; each holds without the other. `scripts/check_rules.py` refuses a
query on a tenant's table that does not go through here.
"""

from typing import Any

from sqlalchemy import ColumnElement

from aicd_core.contracts.tenant import Tenant
from aicd_core.db.base import Base


def mine(model: type[Base], tenant: Tenant) -> ColumnElement[bool]:
    """The condition that a row of `model` belongs to the tenant; every query on a tenant's table has it."""
    return _criterion(model, tenant)


def _criterion(model: Any, tenant: Tenant) -> ColumnElement[bool]:
    """What `mine` says; tests of the other wall put `true()` in its place."""
    key = model.id if model.__tablename__ == "organizations" else model.org_id
    condition: ColumnElement[bool] = key == tenant.org_id
    return condition
