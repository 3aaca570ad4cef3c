"""Which jobs of a tenant are wanted, and in which order."""

from dataclasses import dataclass
from datetime import datetime

from aicd_core.ids import RepositoryId
from aicd_core.jobs.machine import JobState


@dataclass(frozen=True)
class JobFilter:
    """What the jobs of a list have in common; what is left out matches all.

    Args:
        states, agents: any of them.
        words: stand in the title, whatever their case.
        created_from, created_before: when the job was made.
        oldest_first: else the newest comes first.
    """

    states: tuple[JobState, ...] = ()
    repository_id: RepositoryId | None = None
    agents: tuple[str, ...] = ()
    issue_number: int | None = None
    words: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    oldest_first: bool = False
