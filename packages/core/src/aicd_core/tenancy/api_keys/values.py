"""API keys as the rest of the program sees them: frozen, detached from the database, never with a hash."""

from dataclasses import dataclass, field
from datetime import datetime

from aicd_core.ids import ApiKeyId, UserId
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.tokens import Token


@dataclass(frozen=True)
class KeySpec:
    """What whoever makes a key decides. `scopes` are values of `Permission`; no `expires_at` is for good."""

    name: str
    scopes: frozenset[str]
    expires_at: datetime | None = None


@dataclass(frozen=True)
class NewKey:
    """What is kept of a key when it is made."""

    spec: KeySpec
    prefix: str
    key_hash: bytes = field(repr=False)
    created_by: UserId | None
    replaces: ApiKeyId | None = None


@dataclass(frozen=True)
class KeyView:
    """A key as it was when it was read. `prefix` is the part of it that may be shown."""

    id: ApiKeyId
    name: str
    prefix: str
    scopes: frozenset[str]
    created_by: UserId | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    replaces: ApiKeyId | None


@dataclass(frozen=True)
class IssuedKey:
    """A key and its token, which is never shown again."""

    key: KeyView
    token: Token


@dataclass(frozen=True)
class FoundKey:
    """What the database knows under a prefix: whose key, its hash, and whether its organization is deleted."""

    tenant: Tenant
    slug: str
    key: KeyView
    key_hash: bytes = field(repr=False)
    organization_deleted: bool
