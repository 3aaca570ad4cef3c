"""Named requests as the rest of the program sees them: frozen, detached from the database."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class RequestName:
    """A request by its caller (`user:<id>`, `api_key:<id>`) and the SHA-256 of the name that he gave it."""

    caller: str
    name_hash: bytes = field(repr=False)


@dataclass(frozen=True)
class RequestClaim:
    """Somebody at work on a named request. `fingerprint` is the SHA-256 of what was asked for."""

    name: RequestName
    fingerprint: bytes = field(repr=False)
    claim: UUID
    claimed_until: datetime
    expires_at: datetime


@dataclass(frozen=True)
class KnownRequest:
    """A named request that somebody else claimed first."""

    fingerprint: bytes = field(repr=False)
    claimed_until: datetime
    expires_at: datetime
    done: bool
    answer: bytes | None = field(repr=False)
