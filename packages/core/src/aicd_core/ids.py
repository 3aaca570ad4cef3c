"""Identifiers: each kind its own type, all UUIDv7 (RFC 9562), so that they sort by creation time."""

from typing import NewType
from uuid import UUID

from uuid_utils.compat import uuid7

OrgId = NewType("OrgId", UUID)
UserId = NewType("UserId", UUID)
MembershipId = NewType("MembershipId", UUID)
InvitationId = NewType("InvitationId", UUID)
SessionId = NewType("SessionId", UUID)
ApiKeyId = NewType("ApiKeyId", UUID)
InstallationId = NewType("InstallationId", UUID)
RepositoryId = NewType("RepositoryId", UUID)
PolicyId = NewType("PolicyId", UUID)
SecretId = NewType("SecretId", UUID)
DeliveryId = NewType("DeliveryId", UUID)
JobId = NewType("JobId", UUID)
ExportId = NewType("ExportId", UUID)


def new_uuid() -> UUID:
    """A fresh UUIDv7 as the standard library's type."""
    return uuid7()
