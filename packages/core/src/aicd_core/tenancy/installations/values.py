"""Installations as the rest of the program sees them: frozen, detached from the database."""

from dataclasses import dataclass
from datetime import datetime

from aicd_core.ids import InstallationId, OrgId


@dataclass(frozen=True)
class InstallationFacts:
    """What a code host says of an installation.

    Args:
        host: the host's API's base URL.
        external_id: the host's number of it.
        account: whose it is there.
        suspended_at: since when it may not be used; None when it may.
        reported_at: the host's time of this word; None where it gives none, which then counts as new.
    """

    host: str
    external_id: int
    account: str
    suspended_at: datetime | None = None
    reported_at: datetime | None = None


@dataclass(frozen=True)
class InstallationView:
    """One installation as it was when it was read."""

    id: InstallationId
    org_id: OrgId
    host: str
    external_id: int
    account: str
    suspended_at: datetime | None
    removed_at: datetime | None
    reported_at: datetime | None
