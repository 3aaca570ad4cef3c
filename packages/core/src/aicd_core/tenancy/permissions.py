"""Who may do what, as data: roles, permissions, and the reason for every no."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from aicd_core.errors import ForbiddenError


class Role(StrEnum):
    """A member's place in an organization, the mightiest first."""

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


DESCRIPTIONS: Mapping[Permission, str] = MappingProxyType(
    {
        Permission.ORG_READ: "See the organization and its settings",
        Permission.ORG_EDIT: "Rename it and change its settings",
        Permission.ORG_DELETE: "Delete it",
        Permission.MEMBERS_READ: "See its members",
        Permission.MEMBERS_EDIT: "Invite members, change their roles, take them out",
        Permission.REPOSITORIES_READ: "See its repositories and installations",
        Permission.REPOSITORIES_EDIT: "Connect, configure and disconnect them",
        Permission.POLICIES_READ: "See its policy and try rules",
        Permission.POLICIES_EDIT: "Publish its policy",
        Permission.JOBS_READ: "See jobs and all that they come to",
        Permission.JOBS_CREATE: "Make jobs",
        Permission.JOBS_STEER: "Cancel and resume jobs, decide about plans",
        Permission.USAGE_READ: "See what is used and what it costs",
        Permission.BILLING_READ: "See billing",
        Permission.BILLING_EDIT: "Change billing",
        Permission.KEYS_EDIT: "See, make and revoke API keys",
        Permission.SECRETS_EDIT: "See the names of secrets, set and delete them",
        Permission.AUDIT_READ: "See who did what",
    }
)
"""What each permission lets do, in the words of the API's document."""

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


EVERYTHING = frozenset(Permission)
"""What the program itself may do when it acts for nobody, such as founding an organization."""


@dataclass(frozen=True)
class Access:
    """The answer to a check: allowed, or the reason why not. True when allowed."""

    reason: str | None = None

    def __bool__(self) -> bool:
        return self.reason is None

    def require(self, code: str = "forbidden") -> None:
        """Does nothing when allowed.

        Raises:
            ForbiddenError: not allowed; its message is the reason.
        """
        if self.reason is not None:
            raise ForbiddenError(self.reason, code=code)


def powers_of_role(role: Role) -> frozenset[Permission]:
    """All that a member with this role may do."""
    return GRANTS[role]


def powers_of_scopes(scopes: Collection[str]) -> frozenset[Permission]:
    """All that an API key may do: its scopes and nothing more, whatever its maker may do by now.

    A scope that this version does not know gives nothing.
    """
    return frozenset(permission for permission in Permission if permission.value in scopes)


def check(role: Role, wanted: Permission) -> Access:
    """Whether a member with this role may do something."""
    if wanted in GRANTS[role]:
        return Access()
    able = [other.value for other in Role if wanted in GRANTS[other]]
    return Access(f"{wanted.value} is not given to the role {role.value}; it needs one of: {', '.join(able)}.")


def check_scopes(scopes: Collection[str], wanted: Permission) -> Access:
    """Whether an API key with these scopes may do something."""
    if wanted in powers_of_scopes(scopes):
        return Access()
    return Access(f"The key lacks the scope {wanted.value}. Make one that has it.")


def check_give(powers: frozenset[Permission], wanted: Collection[Permission], what: str) -> Access:
    """Whether somebody with these powers may hand on `wanted`: nobody gives what he does not have himself.

    The same rule says whose role he may change or take away, and which scopes he may put on a key.

    Args:
        what: what would be given, as the subject of the reason: "The role owner", "The key".
    """
    beyond = sorted(permission.value for permission in set(wanted) - powers)
    if not beyond:
        return Access()
    return Access(f"{what} carries {', '.join(beyond)}, which you do not have yourself. Ask an owner to do it.")
