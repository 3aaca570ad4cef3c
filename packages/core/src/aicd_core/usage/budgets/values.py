"""Budgets as the rest of the program sees them."""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """Whose budget it is; those of repository and organization are for a calendar month of UTC."""

    JOB = "job"
    ISSUE = "issue"
    REPOSITORY = "repository"
    ORGANIZATION = "organization"


@dataclass(frozen=True)
class Budget:
    """One budget that binds a job, in micro-USD.

    `most` is None where there is no limit. `held` is what other calls under way can cost. `fits` says whether what was
    asked for could be held back. `own` says that the limit is the repository's own, tighter than the organization's;
    and of the organization, that it follows from the cap on what it pays, tighter than its budget.
    """

    scope: Scope
    most: int | None
    spent: int
    held: int
    fits: bool
    own: bool
    organization: str
    source: str

    def left(self, reserved: int = 0) -> int | None:
        """What may still be held back beside so much; None is no limit."""
        return None if self.most is None else self.most - self.spent - self.held - reserved


@dataclass(frozen=True)
class Hold:
    """The most that a call can cost, to be held back for it.

    `entry_key` is the key of its entry in the ledger, `under_way` those of the holder's other calls of the job; what it
    held back for any others is free again.
    """

    owner: str
    entry_key: str
    micro_usd: int
    under_way: tuple[str, ...] = ()
