"""Repositories as the rest of the program sees them: frozen, detached from the database."""

from dataclasses import dataclass
from datetime import datetime

from aicd_core.ids import InstallationId, RepositoryId


@dataclass(frozen=True)
class InstallationOfRepository:
    """How a code host lets an organization into a repository: the installation's number on the host."""

    host: str
    external_id: int
    suspended_at: datetime | None
    removed_at: datetime | None


@dataclass(frozen=True)
class RepositoryView:
    """One repository as it was when it was read."""

    id: RepositoryId
    source: str
    installation_id: InstallationId | None
    enabled: bool
    revision: int
    created_at: datetime
    disconnected_at: datetime | None
    issue_budget: int | None = None
    monthly_budget: int | None = None
    external_id: int | None = None
    base_branch: str | None = None
