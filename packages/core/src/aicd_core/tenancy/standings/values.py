"""Standings as the rest of the program sees them."""

from dataclasses import dataclass
from datetime import datetime

from aicd_core.errors import StoppedError


@dataclass(frozen=True)
class Why:
    """A stable name of why something is refused, and a sentence that says what lifts it."""

    code: str
    reason: str

    def error(self) -> StoppedError:
        """For whoever is refused."""
        return StoppedError(self.reason, code=self.code)


@dataclass(frozen=True)
class Limit:
    """At most so many pull requests from a moment on, and why no more."""

    pull_requests: int
    why: Why


@dataclass(frozen=True)
class Standing:
    """Whether work is done for an organization; `since` is the beginning of what `limit` counts.

    `cost_limit`: what its jobs may cost in a month, in micro-USD.
    """

    since: datetime
    stopped: Why | None = None
    limit: Limit | None = None
    cost_limit: int | None = None
