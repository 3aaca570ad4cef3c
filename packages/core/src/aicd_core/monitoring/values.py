"""What is read, and where it comes from."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from aicd_core.db.sessions import SystemReadSession

Samples: TypeAlias = Mapping[tuple[str, ...], float]
"""Values by those of the figure's labels."""


@dataclass(frozen=True)
class Figure:
    """A gauge of the whole installation: the same whichever process is asked."""

    name: str
    about: str
    labels: tuple[str, ...] = ()


Reading: TypeAlias = Mapping[Figure, Samples]


@dataclass(frozen=True)
class Probe:
    """Reads some figures, by queries that an index serves, in one read-only transaction of the system role.

    Args:
        figures: all that `read` may return.
    """

    figures: tuple[Figure, ...]
    read: Callable[[SystemReadSession], Awaitable[Reading]]


@dataclass(frozen=True)
class OpenJobs:
    """Jobs in one state. `ready` ones wait for a worker, the longest of them for `oldest` seconds."""

    state: str
    jobs: int
    ready: int
    oldest: float


@dataclass(frozen=True)
class Waiting:
    """Webhooks that are not handled yet; the oldest came in `oldest` seconds ago."""

    deliveries: int
    oldest: float
