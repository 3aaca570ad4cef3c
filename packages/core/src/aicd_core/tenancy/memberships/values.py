"""Memberships as the rest of the program sees them: frozen, detached from the database."""

from dataclasses import dataclass
from datetime import datetime

from aicd_core.ids import MembershipId, OrgId, UserId
from aicd_core.tenancy.permissions import Role


@dataclass(frozen=True)
class MemberView:
    """A member with his name. `deleted` says that his account is deleted: he keeps his place for his return."""

    id: MembershipId
    user_id: UserId
    email: str
    name: str
    role: Role
    revision: int
    created_at: datetime
    deleted: bool


@dataclass(frozen=True)
class OrganizationOfUser:
    """An organization that a user belongs to, and as what."""

    org_id: OrgId
    slug: str
    name: str
    role: Role
