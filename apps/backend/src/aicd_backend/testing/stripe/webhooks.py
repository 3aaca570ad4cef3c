"""Events on their way to our webhook: signed by the SDK's own helper; late, doubled or reordered as one likes."""

import json
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stripe import WebhookSignature

from aicd_backend.testing.stripe.books import Books, Thing


@dataclass(frozen=True)
class Delivery:
    """What is posted."""

    body: bytes
    signature: str


def sign(event: Thing, secret: str, *, age: float = 0.0) -> Delivery:
    """An event as Stripe posts it; `age` seconds ago, or ahead where it is negative."""
    body = json.dumps(event, separators=(",", ":"))
    at = int(time.time() - age)
    return Delivery(body.encode(), WebhookSignature.generate_signature_header(body, secret, at))


def disorder(events: Iterable[Thing], seed: int, copies: int = 2) -> Iterator[Thing]:
    """The same events, each `copies` times, in an order of chance."""
    mixed = [event for event in events for _ in range(copies)]
    random.Random(seed).shuffle(mixed)  # noqa: S311 - to be repeated, not to be secret
    yield from mixed


def error_report(books: Books, meter_id: str, identifier: str, reason: str = "meter_event_customer_not_found") -> Thing:
    """The thin event by which Stripe rejects, later, a meter event that it had taken."""
    example = {"error_message": reason, "request": {"identifier": identifier}}
    summary = {"error_count": 1, "error_types": [{"code": reason, "error_count": 1, "sample_errors": [example]}]}
    event = books.add(
        "v2.core.event",
        "evt",
        type="v1.billing.meter.error_report_triggered",
        related_object={"id": meter_id, "type": "billing.meter", "url": f"/v1/billing/meters/{meter_id}"},
        data={"developer_message_summary": f"There is 1 invalid event: {reason}", "reason": summary},
    )
    thin = {name: value for name, value in event.items() if name != "data"}
    books.emitted.append(thin)
    return thin
