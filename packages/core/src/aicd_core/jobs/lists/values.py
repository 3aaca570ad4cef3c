"""Which jobs of a tenant are wanted, and in which order."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from aicd_core.ids import RepositoryId
from aicd_core.jobs.machine import JobState


class JobOrder(StrEnum):
    """What a list of jobs is sorted by: a field, with `-` before it for the latest first."""

    OLDEST = "created_at"
    NEWEST = "-created_at"
    LONGEST_SINCE_CHANGED = "updated_at"
    LAST_CHANGED = "-updated_at"


@dataclass(frozen=True)
class JobFilter:
    """What the jobs of a list have in common; what is left out matches all.

    Args:
        states, agents: any of them.
        words: stand in the title, whatever their case.
        created_from, created_before: when the job was made.
    """

    states: tuple[JobState, ...] = ()
    repository_id: RepositoryId | None = None
    agents: tuple[str, ...] = ()
    issue_number: int | None = None
    words: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    order: JobOrder = JobOrder.NEWEST


@dataclass(frozen=True)
class Outcomes:
    """What became of the jobs that were made in some time. `seconds_to_pull`: the median, from the making on."""

    made: int
    opened: int
    merged: int
    closed: int
    failed: int
    seconds_to_pull: float | None

    @property
    def merge_rate(self) -> float | None:
        """The merged ones among those whose pull request a person has decided about; None when there is none."""
        decided = self.merged + self.closed
        return self.merged / decided if decided else None
