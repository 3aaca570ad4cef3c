"""People, identities and logins as the rest of the program sees them: frozen, detached from the database."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aicd_core.ids import SessionId, UserId
from aicd_core.tenancy.tokens import Token


@dataclass(frozen=True)
class UserFields:
    """What may be edited about a person."""

    email: str
    email_verified: bool
    name: str


@dataclass(frozen=True)
class UserView:
    """A person as he was when he was read."""

    id: UserId
    email: str
    email_verified: bool
    name: str
    revision: int
    created_at: datetime
    deleted_at: datetime | None


@dataclass(frozen=True)
class IdentityClaim:
    """What a login provider says about whoever logged in there: its issuer URL, the subject, the address."""

    issuer: str
    subject: str
    email: str
    email_verified: bool
    name: str = ""


@dataclass(frozen=True)
class Client:
    """Where a login comes from, shown to its owner so that he can tell his logins apart."""

    user_agent: str
    address: str


@dataclass(frozen=True)
class SessionLimits:
    """How long a login lasts: without being used, and at the most."""

    idle: timedelta = timedelta(days=7)
    absolute: timedelta = timedelta(days=30)


@dataclass(frozen=True)
class NewSession:
    """What is kept of a login when it begins."""

    user_id: UserId
    token_hash: bytes = field(repr=False)
    client: Client
    now: datetime
    idle_until: datetime
    ends_at: datetime


@dataclass(frozen=True)
class SessionView:
    """A login as it was when it was read."""

    id: SessionId
    user_id: UserId
    client: Client
    created_at: datetime
    last_used_at: datetime
    idle_until: datetime
    ends_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True)
class LoginState:
    """What decides whether a login is good."""

    revoked_at: datetime | None
    user_deleted_at: datetime | None
    ends_at: datetime
    idle_until: datetime


@dataclass(frozen=True)
class OpenedSession:
    """A login and its token, which is never shown again."""

    session: SessionView
    token: Token
