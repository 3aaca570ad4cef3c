"""Tenants: who they are, who belongs to them, and the walls between them."""

from aicd_core.contracts.tenant import Tenant
from aicd_core.tenancy.scope import mine

__all__ = ["Tenant", "mine"]
