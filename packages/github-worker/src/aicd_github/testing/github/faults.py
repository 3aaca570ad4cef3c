"""How the stand-in is told to fail."""

import threading
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """What goes wrong with one call. Only LOST happens after the call took effect."""

    SERVER_ERROR = "500"
    BAD_GATEWAY = "502"
    SECONDARY_LIMIT = "403 secondary rate limit"
    PRIMARY_LIMIT = "403 primary rate limit"
    UNAUTHORIZED = "401"
    LOST = "no answer, after it took effect"


@dataclass
class Faults:
    """`planned` fails the next call of a route; `each_once` the first call of every route.

    `wait` is what a rate limit asks for, in seconds.
    """

    each_once: Fault | None = None
    planned: dict[tuple[str, str], list[Fault]] = field(default_factory=dict)
    wait: int = 1
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, method: str, route: str, *faults: Fault) -> None:
        """Has the next calls of a route fail, one after the other."""
        self.planned.setdefault((method, route), []).extend(faults)

    def next(self, method: str, route: str) -> Fault | None:
        """What goes wrong with this call, if anything does."""
        key = (method, route)
        with self._lock:
            if self.planned.get(key):
                return self.planned[key].pop(0)
            if self.each_once is not None and key not in self._seen:
                self._seen.add(key)
                return self.each_once
        return None
