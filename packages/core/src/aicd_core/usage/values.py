"""Sums of the ledger, frozen and detached from the database."""

from dataclasses import dataclass
from datetime import date

from aicd_core.contracts import Usage
from aicd_core.ids import RepositoryId


@dataclass(frozen=True)
class DayTotal:
    """What was used on one day of UTC, in `entries` entries."""

    day: date
    entries: int
    usage: Usage


@dataclass(frozen=True)
class RepositoryTotal:
    """What the jobs of one repository used, in `entries` entries."""

    repository_id: RepositoryId
    entries: int
    usage: Usage


@dataclass(frozen=True)
class ModelTotal:
    """What was used of one model, in `entries` entries; `model` is None where no call explains them."""

    model: str | None
    entries: int
    usage: Usage


@dataclass(frozen=True)
class LedgerEntry:
    """One entry of a job's ledger."""

    key: str
    usage: Usage
