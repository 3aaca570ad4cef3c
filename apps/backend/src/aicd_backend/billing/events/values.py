"""Events of Stripe's as they are read: the few fields that are needed, from JSON that may hold anything."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aicd_core.errors import InvalidInputError
from aicd_core.usage.billing.models import BillingMode, EventState

METER_REPORT = "v1.billing.meter.error_report_triggered"
HANDLED_KINDS = (
    *("checkout.session.", "customer.deleted", "customer.subscription.", "invoice.", "charge.dispute."),
    METER_REPORT,
)
_TEXT_MOST = 255


@dataclass(frozen=True)
class NewEvent:
    """A verified event. `customer` is whom it is about, where it says so itself."""

    mode: BillingMode
    external_id: str
    kind: str
    customer: str | None
    body: bytes
    occurred_at: datetime


@dataclass(frozen=True)
class EventView:
    """An event that somebody took to handle it."""

    id: int
    mode: BillingMode
    external_id: str
    kind: str
    customer: str | None
    body: bytes
    attempts: int


@dataclass(frozen=True)
class Ended:
    """How the handling of an event ended."""

    state: EventState
    code: str | None = None
    reason: str | None = None


def parse(body: bytes) -> NewEvent:
    """A verified event.

    Raises:
        InvalidInputError: `bad_event`.
    """
    try:
        told = json.loads(body)
        created, live = told["created"], told["livemode"]
        external_id, kind = told["id"], told["type"]
        at = datetime.fromtimestamp(created, UTC) if isinstance(created, int) else datetime.fromisoformat(created)
    except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError) as error:
        raise _bad() from error
    texts = (external_id, kind)
    if not all(isinstance(text, str) and 0 < len(text) <= _TEXT_MOST and text.isprintable() for text in texts):
        raise _bad()
    if not isinstance(live, bool) or at.tzinfo is None:
        raise _bad()
    mode = BillingMode.LIVE if live else BillingMode.TEST
    return NewEvent(mode, external_id, kind, _customer(object_of(told)), body, at)


def object_of(told: Any) -> dict[str, Any]:
    """The thing that an event is about, as it was then; nothing where it holds none."""
    data = told.get("data")
    found = data.get("object") if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def _customer(thing: dict[str, Any]) -> str | None:
    found = thing.get("id") if thing.get("object") == "customer" else thing.get("customer")
    if isinstance(found, dict):
        found = found.get("id")
    return found if isinstance(found, str) and 0 < len(found) <= _TEXT_MOST and found.isprintable() else None


def _bad() -> InvalidInputError:
    return InvalidInputError(
        "The body is no event of Stripe's: it needs id, type, created, livemode.", code="bad_event"
    )
