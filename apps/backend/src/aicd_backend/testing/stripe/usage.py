"""Meters, their events, what cancels those, and what they add up to."""

from collections.abc import Mapping

from aicd_backend.testing.stripe.books import Books, MeterEvent, Thing
from aicd_backend.testing.stripe.params import Wrong

_DAY, _OLDEST, _NEWEST = 86_400, 35 * 86_400, 300
METER = "billing.meter"


def create_meter(books: Books, _path: Mapping[str, str], sent: Thing) -> Thing:
    if any(meter["event_name"] == sent["event_name"] and meter["status"] == "active" for meter in books.all(METER)):
        raise Wrong(f"There is already an active meter with the event name {sent['event_name']}.", param="event_name")
    rest: Thing = {"status": "active", "updated": int(books.now()), "event_time_window": None}
    rest |= {"status_transitions": {"deactivated_at": None}}
    return books.add(METER, "mtr", **rest, **sent)


def update_meter(books: Books, path: Mapping[str, str], sent: Thing) -> Thing:
    meter = books.get(METER, path["id"])
    meter.update(sent)
    return meter


def reactivate_meter(books: Books, path: Mapping[str, str], _sent: Thing) -> Thing:
    meter = books.get(METER, path["id"])
    meter["status"] = "active"
    return meter


def deactivate_meter(books: Books, path: Mapping[str, str], _sent: Thing) -> Thing:
    meter = books.get(METER, path["id"])
    meter["status"] = "inactive"
    return meter


def create_event(books: Books, _path: Mapping[str, str], sent: Thing) -> Thing:
    payload, now = sent["payload"], books.now()
    customer, value = payload.get("stripe_customer_id"), payload.get("value", "")
    if not any(meter["event_name"] == sent["event_name"] and meter["status"] == "active" for meter in books.all(METER)):
        raise Wrong(f"No active meter found for event name {sent['event_name']}.", param="event_name")
    books.get("customer", customer or "", "payload[stripe_customer_id]")
    if not value.isdecimal():
        raise Wrong("The value of a meter event must be a whole number.", param="payload[value]")
    timestamp, identifier = sent.get("timestamp", int(now)), sent.get("identifier", f"gen-{len(books.meter_events)}")
    if timestamp < now - _OLDEST:
        raise Wrong("The timestamp must be within the past 35 calendar days.", code="timestamp_too_far_in_past")
    if timestamp > now + _NEWEST:
        raise Wrong("The timestamp must be at most 5 minutes ahead.", code="timestamp_in_future")
    if not 1 <= len(identifier) <= 100:
        raise Wrong("The identifier has 1 to 100 characters.", param="identifier")
    if books.known.get(identifier, 0.0) > now - _DAY:
        raise Wrong(f"An event already exists with identifier {identifier}.", param="identifier")
    books.known[identifier] = now
    books.meter_events.append(MeterEvent(sent["event_name"], customer, identifier, int(value), timestamp, now))
    told = {"event_name": sent["event_name"], "identifier": identifier, "payload": payload, "timestamp": timestamp}
    return {"object": "billing.meter_event", "created": int(now), "livemode": books.live, **told}


def create_adjustment(books: Books, _path: Mapping[str, str], sent: Thing) -> Thing:
    identifier = sent.get("cancel", {}).get("identifier", "")
    for event in books.meter_events:
        if (event.identifier, event.meter) == (identifier, sent["event_name"]):
            if event.received < books.now() - _DAY:
                raise Wrong("Only events of the last 24 hours can be cancelled.", param="cancel[identifier]")
            books.cancelled.add(identifier)
            told = {"cancel": {"identifier": identifier}, "event_name": event.meter, "type": "cancel"}
            return {"object": "billing.meter_event_adjustment", "livemode": books.live, "status": "pending", **told}
    raise Wrong(f"No meter event with identifier {identifier}.", code="resource_missing", param="cancel[identifier]")


def list_summaries(books: Books, path: Mapping[str, str], sent: Thing) -> list[Thing]:
    meter = books.get(METER, path["id"])
    start, end = sent["start_time"], sent["end_time"]
    if start % 60 or end % 60 or end <= start:
        raise Wrong("start_time and end_time must be aligned with minute boundaries.", param="start_time")
    books.get("customer", sent["customer"], "customer")
    value = sum(
        event.value
        for event in books.meter_events
        if event.meter == meter["event_name"]
        and event.customer == sent["customer"]
        and start <= event.timestamp < end
        and event.identifier not in books.cancelled
    )
    if not value:
        return []
    summary = {"id": f"mtrusg_{start}", "object": "billing.meter_event_summary", "livemode": books.live}
    times = {"start_time": start, "end_time": end, "meter": meter["id"]}
    return [{**summary, **times, "aggregated_value": float(value)}]
