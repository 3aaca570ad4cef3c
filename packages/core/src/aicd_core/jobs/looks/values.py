"""Looks as the orchestrator sees them."""

from dataclasses import dataclass
from datetime import datetime

from aicd_core.ids import JobId, OrgId


@dataclass(frozen=True)
class Look:
    """A look that was taken: `taken_until` is the time at which it is due again unless it is ended before."""

    org_id: OrgId
    job_id: JobId
    taken_until: datetime
