"""Organizations and the repositories that they connected."""

from aicd_core.tenancy.models import Organization, Repository
from aicd_core.tenancy.tenant import Tenant

__all__ = ["Organization", "Repository", "Tenant"]
