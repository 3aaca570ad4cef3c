"""Who may do what, as data: roles, permissions, and the reason for every no."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """A member's place in an organization."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    VIEWER = "viewer"
    BILLING = "billing"


class Permission(StrEnum):
    """One thing that may be done. The value is also the scope of an API key."""

    ORG_READ = "org:read"
    ORG_EDIT = "org:edit"
    ORG_DELETE = "org:delete"
    MEMBERS_READ = "members:read"
    MEMBERS_EDIT = "members:edit"
    REPOSITORIES_READ = "repositories:read"
    REPOSITORIES_EDIT = "repositories:edit"
    POLICIES_READ = "policies:read"
    POLICIES_EDIT = "policies:edit"
    JOBS_READ = "jobs:read"
    JOBS_CREATE = "jobs:create"
    JOBS_STEER = "jobs:steer"
    USAGE_READ = "usage:read"
    BILLING_READ = "billing:read"
    BILLING_EDIT = "billing:edit"
    KEYS_EDIT = "keys:edit"
    SECRETS_EDIT = "secrets:edit"
    AUDIT_READ = "audit:read"


_P = Permission
_VIEWER = frozenset({_P.ORG_READ, _P.MEMBERS_READ, _P.REPOSITORIES_READ, _P.POLICIES_READ, _P.JOBS_READ, _P.USAGE_READ})
_DEVELOPER = _VIEWER | {_P.JOBS_CREATE, _P.JOBS_STEER}
_ADMIN = frozenset(Permission) - {_P.ORG_DELETE, _P.BILLING_EDIT}

GRANTS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.OWNER: frozenset(Permission),
        Role.ADMIN: _ADMIN,
        Role.DEVELOPER: _DEVELOPER,
        Role.VIEWER: _VIEWER,
        # Billing sees money and members to count, and no code.
        Role.BILLING: frozenset({_P.ORG_READ, _P.MEMBERS_READ, _P.USAGE_READ, _P.BILLING_READ, _P.BILLING_EDIT}),
    }
)


@dataclass(frozen=True)
class Access:
    """The answer to a check: allowed, or the reason why not. True when allowed."""

    reason: str | None = None

    def __bool__(self) -> bool:
        return self.reason is None


def check(role: Role, wanted: Permission) -> Access:
    """Whether a role may do something."""
    if wanted in GRANTS[role]:
        return Access()
    able = [other.value for other in Role if wanted in GRANTS[other]]
    return Access(f"{wanted.value} is not given to the role {role.value}; it needs one of: {', '.join(able)}.")


def check_scopes(scopes: frozenset[str], wanted: Permission) -> Access:
    """Whether an API key with these scopes may do something."""
    if wanted.value in scopes:
        return Access()
    return Access(f"The key lacks the scope {wanted.value}. Make one that has it.")
