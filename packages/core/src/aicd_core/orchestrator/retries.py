"""What is tried again after an error from outside of the job, how often and when, as data."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from aicd_core.errors import AicdError, ErrorKind


@dataclass(frozen=True)
class Backoff:
    """At most `attempts` repetitions; before the nth, up to `first * 2 ** (n - 1)` seconds, at most `longest`."""

    attempts: int
    first: float
    longest: float

    def delay(self, failures: int, chance: Callable[[], float] = random.random) -> float:
        """Seconds to wait after so many failures (1 or more): between half and all of the present span, by chance, so
        that what failed together does not come back together."""
        span = min(self.longest, self.first * 2.0 ** (failures - 1))
        return span * (0.5 + chance() / 2)


BACKOFFS: Mapping[ErrorKind, Backoff] = MappingProxyType(
    {
        # A server, a disk or a program that is away: it comes back, perhaps only after somebody saw to it.
        ErrorKind.UNAVAILABLE: Backoff(attempts=10, first=2, longest=600),
        # Somebody else was faster: look again soon.
        ErrorKind.CONFLICT: Backoff(attempts=5, first=0.5, longest=10),
        # A defect of ours: it may hang on the moment, and more likely does not.
        ErrorKind.INTERNAL: Backoff(attempts=2, first=5, longest=60),
    }
)
"""Errors of every other kind come again with the same step; they fail the job at once."""


def kind_of(error: Exception) -> ErrorKind:
    """The kind of any error; of one that is not ours, a defect."""
    return error.kind if isinstance(error, AicdError) else ErrorKind.INTERNAL
