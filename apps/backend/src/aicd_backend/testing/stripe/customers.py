"""Customers, how they come to pay, and what they pay: Checkout, the portal, subscriptions, invoices."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

from aicd_backend.testing.stripe.books import Books, Thing
from aicd_backend.testing.stripe.params import Wrong

_MONTH = 30 * 86_400


def create_customer(books: Books, _path: Mapping[str, str], sent: Thing) -> Thing:
    return books.add("customer", "cus", **{"email": None, "name": None, "metadata": {}, "balance": 0, **sent})


def update_customer(books: Books, path: Mapping[str, str], sent: Thing) -> Thing:
    customer = books.get("customer", path["id"])
    customer.update(sent)
    return customer


def delete_customer(books: Books, customer_id: str) -> None:
    """What somebody does in the dashboard: the customer goes, its subscriptions end, and new ones are refused."""
    for subscription in books.all("subscription"):
        if subscription["customer"] == customer_id and subscription["status"] != "canceled":
            cancel_subscription(books, {"id": subscription["id"]}, {})
    gone = books.get("customer", customer_id)
    books.emit("customer.deleted", gone)
    gone.clear()
    gone.update(id=customer_id, object="customer", deleted=True)


def _required(books: Books, sent: Thing) -> Thing:
    found = books.get("customer", sent.get("customer", ""), "customer")
    if found.get("deleted"):
        raise Wrong(f"No such customer: '{sent['customer']}'", code="resource_missing", param="customer")
    return found


def create_checkout(books: Books, _path: Mapping[str, str], sent: Thing) -> Thing:
    if sent.get("customer"):
        _required(books, sent)
    for item in sent.get("line_items", []):
        price = books.get("price", item.get("price", ""), "line_items[0][price]")
        if price["recurring"]["usage_type"] == "metered" and "quantity" in item:
            raise Wrong(
                "Quantity should not be specified where usage_type is metered.", param="line_items[0][quantity]"
            )
    if sent.get("mode") == "subscription" and not sent.get("line_items"):
        raise Wrong("Missing required param: line_items.", code="parameter_missing", param="line_items")
    rest: Thing = {"status": "open", "payment_status": "unpaid", "subscription": None, "customer": None, "metadata": {}}
    made = books.add("checkout.session", f"cs_{'live' if books.live else 'test'}", **{**rest, **sent})
    made["url"] = f"https://checkout.stripe.test/c/{made['id']}"
    return made


def create_portal(books: Books, _path: Mapping[str, str], sent: Thing) -> Thing:
    _required(books, sent)
    made = books.add("billing_portal.session", "bps", **{"return_url": None, **sent})
    made["url"] = f"https://billing.stripe.test/p/{made['id']}"
    return made


def create_subscription(books: Books, _path: Mapping[str, str], sent: Thing) -> Thing:
    _required(books, sent)
    return _subscribe(books, sent["customer"], sent.get("items", []), sent.get("metadata", {}), sent)


def update_subscription(books: Books, path: Mapping[str, str], sent: Thing) -> Thing:
    subscription = books.get("subscription", path["id"])
    subscription.update({name: value for name, value in sent.items() if name != "items"})
    books.emit("customer.subscription.updated", subscription)
    return subscription


def cancel_subscription(books: Books, path: Mapping[str, str], _sent: Thing) -> Thing:
    subscription = books.get("subscription", path["id"])
    subscription.update(status="canceled", canceled_at=int(books.now()), ended_at=int(books.now()))
    books.emit("customer.subscription.deleted", subscription)
    return subscription


def of_customer(books: Books, thing: Thing, sent: Thing) -> bool:
    """The filter of lists that may be of one customer, subscription or status."""
    if (books.things.get("customer", {}).get(sent.get("customer", "")) or {}).get("deleted"):
        _required(books, sent)
    names = ("customer", "subscription", "status")
    return all(name not in sent or sent[name] in {"all", thing.get(name)} for name in names)


def complete_checkout(books: Books, session_id: str) -> Thing:
    """What the person at the page does: he pays. Makes the subscription, and the events of it; the subscription."""
    session = books.get("checkout.session", session_id)
    if session["customer"] is None:
        session["customer"] = create_customer(books, {}, {"email": session.get("customer_email")})["id"]
    data = session.get("subscription_data", {})
    metadata = {**data.get("metadata", {})}
    subscription = _subscribe(books, session["customer"], session["line_items"], metadata, data)
    session.update(status="complete", payment_status="paid", subscription=subscription["id"])
    books.emit("checkout.session.completed", session)
    return subscription


def close_period(books: Books, subscription_id: str, *, paid: bool = True) -> Thing:
    """The end of a subscription's period: an invoice over what was counted in it, paid or not; the invoice."""
    subscription = books.get("subscription", subscription_id)
    parts = subscription["items"]["data"]
    begin, end = parts[0]["current_period_start"], parts[0]["current_period_end"]
    lines = [_line(books, subscription, item, begin, end) for item in parts]
    due = int(sum((Decimal(line["exact"]) for line in lines), Decimal(0)).to_integral_value(ROUND_HALF_UP))
    invoice = books.add(
        "invoice",
        "in",
        customer=subscription["customer"],
        subscription=subscription_id,
        parent={"type": "subscription_details", "subscription_details": {"subscription": subscription_id}},
        currency="usd",
        status="paid" if paid else "open",
        amount_due=due,
        amount_paid=due if paid else 0,
        total=due,
        attempt_count=1,
        period_start=begin,
        period_end=end,
        hosted_invoice_url=f"https://invoice.stripe.test/i/{subscription_id}",
        invoice_pdf=f"https://invoice.stripe.test/i/{subscription_id}/pdf",
        number=f"AICD-{len(books.all('invoice')) + 1:04}",
        lines={"object": "list", "data": lines, "has_more": False},
    )
    for part in parts:
        part.update(current_period_start=end, current_period_end=end + _MONTH)
    subscription["status"] = "active" if paid else "past_due"
    books.emit("invoice.paid" if paid else "invoice.payment_failed", invoice)
    books.emit("customer.subscription.updated", subscription)
    return invoice


def pay(books: Books, invoice_id: str) -> Thing:
    """What the person at the page of an open invoice does; the invoice."""
    invoice = books.get("invoice", invoice_id)
    invoice.update(status="paid", amount_paid=invoice["amount_due"])
    subscription = books.get("subscription", invoice["subscription"])
    subscription["status"] = "active"
    books.emit("invoice.paid", invoice)
    books.emit("customer.subscription.updated", subscription)
    return invoice


def dispute(books: Books, customer: str) -> Thing:
    """Somebody's bank takes a payment back; the dispute."""
    charge = books.add("charge", "ch", customer=customer, disputed=True, paid=True, amount=500, currency="usd")
    made = books.add("dispute", "dp", charge=charge["id"], status="needs_response", amount=500, currency="usd")
    books.emit("charge.dispute.created", made)
    return made


def settle(books: Books, dispute_id: str, status: str) -> Thing:
    """A dispute is decided: `won` or `lost`; the dispute."""
    decided = books.get("dispute", dispute_id)
    decided["status"] = status
    books.emit("charge.dispute.closed", decided)
    return decided


def of_charge(_books: Books, thing: Thing, sent: Thing) -> bool:
    """The filter of disputes of one payment."""
    return "charge" not in sent or sent["charge"] == thing["charge"]


def _line(books: Books, subscription: Thing, item: Thing, begin: int, end: int) -> Thing:
    price, quantity = item["price"], item.get("quantity", 1)
    if price["recurring"]["meter"] is not None:
        meter = books.get("billing.meter", price["recurring"]["meter"])["event_name"]
        quantity = sum(
            event.value
            for event in books.meter_events
            if (event.meter, event.customer) == (meter, subscription["customer"])
            and begin <= event.timestamp < end
            and event.identifier not in books.cancelled
        )
    exact = Decimal(price["unit_amount_decimal"]) * quantity
    return {"object": "line_item", "quantity": quantity, "price": price["id"], "exact": str(exact)}


def _subscribe(books: Books, customer: str, items: list[Thing], metadata: Thing, more: Thing) -> Thing:
    now = int(books.now())
    trial = int(more.get("trial_period_days", 0)) * 86_400
    period: Thing = {"current_period_start": now, "current_period_end": now + (trial or _MONTH)}
    parts = []
    for item in items:
        price = books.get("price", item.get("price", ""), "items[0][price]")
        quantity = {"quantity": item.get("quantity", 1)} if price["recurring"]["usage_type"] == "licensed" else {}
        parts.append(books.add("subscription_item", "si", price={**price}, metadata={}, **period, **quantity))
    made = books.add(
        "subscription",
        "sub",
        customer=customer,
        status="trialing" if trial else "active",
        trial_end=now + trial if trial else None,
        cancel_at_period_end=False,
        canceled_at=None,
        metadata=metadata,
        items={"object": "list", "data": parts, "has_more": False, "url": "/v1/subscription_items"},
    )
    books.emit("customer.subscription.created", made)
    return made
