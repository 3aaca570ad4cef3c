"""Policies as the rest of the program sees them: frozen, detached from the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from aicd_core.ids import PolicyId, UserId
from aicd_core.tenancy.audit.values import JSON


@dataclass(frozen=True)
class PolicyView:
    """One version of an organization's rules; `created_by` is None when no user, or one since erased, wrote it."""

    id: PolicyId
    version: int
    rules: Mapping[str, JSON]
    note: str
    created_by: UserId | None
    created_at: datetime
