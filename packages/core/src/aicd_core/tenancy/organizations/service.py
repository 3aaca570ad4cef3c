"""Making organizations."""

from aicd_core.db.sessions import SystemSession
from aicd_core.errors import ConflictError
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.repository import find_by_slug, insert_organization


async def ensure_organization(session: SystemSession, slug: str) -> Tenant:
    """The tenant with this slug, made when there is none."""
    tenant = await insert_organization(session, slug, slug) or await find_by_slug(session, slug)
    if tenant is None:
        raise ConflictError(f"The organization {slug} was removed at this very moment. Try again.")
    return tenant
