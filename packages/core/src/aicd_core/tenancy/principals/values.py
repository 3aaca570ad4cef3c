"""Callers as the rest of the program sees them: frozen, detached from the database."""

from dataclasses import dataclass
from datetime import datetime

from aicd_core.ids import ApiKeyId, SessionId, UserId
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.permissions import (
    Access,
    Permission,
    Role,
    check,
    check_scopes,
    powers_of_role,
    powers_of_scopes,
)


@dataclass(frozen=True)
class Place:
    """An organization, and why a caller may do something there: a member's role or a key's scopes."""

    tenant: Tenant
    slug: str
    grant: Role | frozenset[str]

    @property
    def powers(self) -> frozenset[Permission]:
        """All that the caller may do here."""
        return powers_of_role(self.grant) if isinstance(self.grant, Role) else powers_of_scopes(self.grant)

    def check(self, wanted: Permission) -> Access:
        """Whether the caller may do something here."""
        return check(self.grant, wanted) if isinstance(self.grant, Role) else check_scopes(self.grant, wanted)


@dataclass(frozen=True)
class KeyGrant:
    """What an access token stands for: an API key, and those of its scopes that were asked for."""

    key_id: ApiKeyId
    prefix: str
    scopes: frozenset[str]


@dataclass(frozen=True)
class KeyPrincipal:
    """A program with an API key. `place` is the key's organization."""

    key_id: ApiKeyId
    place: Place
    last_used_at: datetime | None

    @property
    def actor(self) -> Actor:
        """Who acts, for the audit log."""
        return Actor(ActorKind.API_KEY, str(self.key_id))


@dataclass(frozen=True)
class SessionPrincipal:
    """A person who has logged in. `place` is the organization that he asked for, None when he has no place in it."""

    user_id: UserId
    session_id: SessionId
    place: Place | None
    last_used_at: datetime

    @property
    def actor(self) -> Actor:
        """Who acts, for the audit log."""
        return Actor(ActorKind.USER, str(self.user_id))


Principal = KeyPrincipal | SessionPrincipal
"""Whoever sends a request."""
