"""Invitations as the rest of the program sees them: frozen, detached from the database."""

from dataclasses import dataclass, field
from datetime import datetime

from aicd_core.ids import InvitationId, UserId
from aicd_core.tenancy.permissions import Role
from aicd_core.tenancy.tokens import Token


@dataclass(frozen=True)
class NewInvitation:
    """What is kept of an invitation when it is made."""

    email: str
    role: Role
    token_hash: bytes = field(repr=False)
    invited_by: UserId | None
    expires_at: datetime


@dataclass(frozen=True)
class InvitationView:
    """An invitation as it was when it was read."""

    id: InvitationId
    email: str
    role: Role
    invited_by: UserId | None
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class SentInvitation:
    """An invitation and the token of its link, which is never shown again."""

    invitation: InvitationView
    token: Token
