"""What the stand-in keeps."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import uuid4

from aicd_backend.testing.stripe.params import Wrong

Thing = dict[str, Any]


class Fault(StrEnum):
    """What goes wrong with one call: before it takes effect, or after."""

    BEFORE = "500 before the effect"
    AFTER = "500 after the effect"
    LIMITED = "429"
    LIMITED_BARE = "429 without Retry-After"
    LOST = "no answer, after the effect"
    DUPLICATE = "400, the identifier is known"


@dataclass(frozen=True)
class MeterEvent:
    """An event that was counted. `received` is the stand-in's own time."""

    meter: str
    customer: str
    identifier: str
    value: int
    timestamp: int
    received: float


@dataclass(frozen=True)
class Exchange:
    """One call and its answer."""

    method: str
    path: str
    sent: Thing
    status: int
    fault: Fault | None


@dataclass
class Books:
    """Everything of one account in one mode.

    Args:
        skew: seconds by which its clock is ahead of ours.
        retry_after: what a 429 asks for, in seconds.
        chance: says what goes wrong with a call that nothing is planned for.
    """

    key: str = "sk_test_stand_in"
    live: bool = False
    skew: float = 0.0
    retry_after: float = 0.05
    chance: Callable[[str, str], Fault | None] = lambda _method, _path: None
    things: dict[str, dict[str, Thing]] = field(default_factory=dict)
    meter_events: list[MeterEvent] = field(default_factory=list)
    cancelled: set[str] = field(default_factory=set)
    exchanges: list[Exchange] = field(default_factory=list)
    emitted: list[Thing] = field(default_factory=list)
    planned: dict[tuple[str, str], list[Fault]] = field(default_factory=dict)
    answers: dict[str, tuple[str, int, Thing]] = field(default_factory=dict)
    known: dict[str, float] = field(default_factory=dict)
    busy: Counter[tuple[str, str]] = field(default_factory=Counter)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def now(self) -> float:
        """The stand-in's time, in seconds."""
        return time.time() + self.skew

    def plan(self, method: str, path: str, *faults: Fault) -> None:
        """Has the next calls of a path fail, one after the other."""
        self.planned.setdefault((method, path), []).extend(faults)

    def fault(self, method: str, path: str) -> Fault | None:
        """What goes wrong with this call."""
        with self.lock:
            waiting = self.planned.get((method, path))
            return waiting.pop(0) if waiting else self.chance(method, path)

    def add(self, kind: str, prefix: str, thing_id: str | None = None, **values: Any) -> Thing:
        """A new thing of a kind, such as `billing.meter`."""
        made = thing_id or f"{prefix}_{uuid4().hex[:24]}"
        common = {"id": made, "object": kind, "created": int(self.now()), "livemode": self.live}
        self.things.setdefault(kind, {})[made] = {**common, **values}
        return self.things[kind][made]

    def all(self, kind: str) -> list[Thing]:
        """All of a kind, the newest first, as Stripe lists them."""
        return [*self.things.get(kind, {}).values()][::-1]

    def get(self, kind: str, thing_id: str, param: str = "id") -> Thing:
        """One of a kind; raises Wrong."""
        found = self.things.get(kind, {}).get(thing_id)
        if found is None:
            word = kind.rpartition(".")[2]
            status = 404 if param == "id" else 400
            raise Wrong(f"No such {word}: '{thing_id}'", status=status, code="resource_missing", param=param)
        return found

    def emit(self, kind: str, thing: Thing) -> Thing:
        """An event about a thing as it is now, to be delivered by whoever runs the stand-in."""
        event = self.add("event", "evt", type=kind, api_version="2026-04-22", data={"object": {**thing}})
        self.emitted.append(event)
        return event

    def total(self, meter: str, customer: str | None = None) -> int:
        """What is counted on a meter, of one customer or of all."""
        return sum(
            event.value
            for event in self.meter_events
            if event.meter == meter and customer in {None, event.customer} and event.identifier not in self.cancelled
        )

    def writes(self) -> list[Exchange]:
        """The calls that could change something."""
        return [exchange for exchange in self.exchanges if exchange.method != "GET"]
