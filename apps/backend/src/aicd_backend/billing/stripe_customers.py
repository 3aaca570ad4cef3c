"""Calls of Stripe about customers: how they come to pay, what they pay, and how they stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aicd_backend.billing.stripe_api import StripeApi
from aicd_backend.billing.stripe_faults import Refused
from aicd_backend.billing.subscriptions.values import CustomerAt, SubscriptionAt

PRODUCT = "aicd_"
"""The ids of plans' products begin so: `syncing.product_of`."""
DECIDED_FOR_US = frozenset({"won", "warning_closed", "prevented"})
"""https://docs.stripe.com/api/disputes/object#dispute_object-status"""


@dataclass(frozen=True)
class InvoiceAt:
    """An invoice at Stripe, amounts in cents."""

    id: str
    number: str | None
    status: str
    currency: str
    total: int
    amount_due: int
    amount_paid: int
    created: datetime
    period_start: datetime | None
    period_end: datetime | None
    url: str | None
    pdf: str | None


@dataclass(frozen=True)
class Rejected:
    """Meter events that Stripe took and could not count."""

    identifiers: tuple[str, ...]
    summary: str


class StripeCustomers(StripeApi):
    """As `StripeApi`, with what is about customers. Every call raises StripeFault."""

    async def create_customer(self, org_id: str, name: str, before: str | None = None) -> str:
        """The customer of an organization, after the one `before` that was deleted; asked again in a day, the same."""
        params: Any = {"name": name, "metadata": {"aicd_org": org_id}}
        key = "-".join(["aicd-customer", org_id, *([before] if before else [])])
        options: Any = {"idempotency_key": key}
        made = await self._told(self._client.v1.customers.create_async(params, options))
        return str(made.id)

    async def is_deleted(self, customer: str) -> bool:
        """Whether somebody deleted the customer. One that Stripe never knew is Refused: that is another account's."""
        return bool(_plain(await self._told(self._client.v1.customers.retrieve_async(customer))).get("deleted"))

    async def check_out(
        self, customer: str, prices: Sequence[tuple[str, int | None]], plan: str, success_url: str, cancel_url: str
    ) -> str:
        """A page where somebody subscribes the customer to prices, each with its quantity unless metered; its URL."""
        items = [{"price": price} | ({} if count is None else {"quantity": count}) for price, count in prices]
        params: Any = {
            "mode": "subscription",
            "customer": customer,
            "line_items": items,
            "success_url": success_url,
            "cancel_url": cancel_url,
            "subscription_data": {"metadata": {"aicd_plan": plan}},
        }
        return str((await self._told(self._client.v1.checkout.sessions.create_async(params))).url)

    async def open_portal(self, customer: str, return_url: str) -> str:
        """A page where somebody sees to cards, invoices and the subscription; its URL."""
        params: Any = {"customer": customer, "return_url": return_url}
        return str((await self._told(self._client.v1.billing_portal.sessions.create_async(params))).url)

    async def customer_at(self, customer: str) -> CustomerAt:
        """How a customer stands; one that was deleted has nothing, and owes nothing that Stripe would collect."""
        try:
            return await self._customer_at(customer)
        except Refused:
            if await self.is_deleted(customer):
                return CustomerAt()
            raise

    async def _customer_at(self, customer: str) -> CustomerAt:
        params: Any = {"customer": customer, "status": "all", "limit": 100}
        subscribed = await self._told(self._client.v1.subscriptions.list_async(params))
        subscriptions = tuple([_subscription(_plain(one)) async for one in self._all(subscribed)])
        return CustomerAt(subscriptions, await self._unpaid_since(customer), await self._disputes(customer))

    async def _unpaid_since(self, customer: str) -> datetime | None:
        params: Any = {"customer": customer, "status": "open", "limit": 100}
        listed = await self._told(self._client.v1.invoices.list_async(params))
        tried = [_plain(one) async for one in self._all(listed)]
        return min((_at(one["created"]) for one in tried if one.get("attempt_count")), default=None)

    async def _disputes(self, customer: str) -> tuple[datetime, ...]:
        """Of the last 100 payments; older ones cannot be disputed any more at most banks (120 days)."""
        listed = await self._told(self._client.v1.charges.list_async({"customer": customer, "limit": 100}))
        disputed: list[datetime] = []
        for charge in (one for one in map(_plain, listed.data) if one.get("disputed")):
            found = await self._told(self._client.v1.disputes.list_async({"charge": charge["id"], "limit": 100}))
            disputed += [_at(one["created"]) for one in map(_plain, found.data) if one["status"] not in DECIDED_FOR_US]
        return tuple(disputed)

    async def customer_of_charge(self, charge: str) -> str | None:
        """Whose payment something was."""
        try:
            found = _plain(await self._told(self._client.v1.charges.retrieve_async(charge)))
        except Refused as fault:
            if fault.code == "resource_missing":
                return None
            raise
        customer = found.get("customer")
        return customer if isinstance(customer, str) else None

    async def invoices(self, customer: str, limit: int, after: str | None) -> tuple[list[InvoiceAt], bool]:
        """The customer's invoices behind one of them, newest first, and whether there are more."""
        params: Any = {"customer": customer, "limit": limit} | ({} if after is None else {"starting_after": after})
        listed = await self._told(self._client.v1.invoices.list_async(params))
        return [_invoice(_plain(one)) for one in listed.data], bool(listed.has_more)

    async def rejected(self, event_id: str) -> Rejected:
        """What a report of errors of a meter says; the event that is delivered holds only its name."""
        raw = await self._told(self._client.raw_request_async("get", f"/v2/core/events/{event_id}"))
        return rejected_of(dict(raw.data))


def rejected_of(event: dict[str, Any]) -> Rejected:
    """What a whole report says; of an error with very many events Stripe names some as examples."""
    data = event.get("data") or {}
    kinds = (data.get("reason") or {}).get("error_types") or []
    samples = [sample for kind in kinds for sample in kind.get("sample_errors") or []]
    names = [(sample.get("request") or {}).get("identifier") for sample in samples]
    summary = str(data.get("developer_message_summary") or "Stripe gave no reason.")
    return Rejected(tuple(name for name in names if isinstance(name, str)), summary[:500])


def _plain(thing: Any) -> dict[str, Any]:
    """A thing of the SDK's as JSON: what a later version of the API adds or leaves out is no error."""
    found: dict[str, Any] = thing.to_dict()
    return found


def _subscription(one: dict[str, Any]) -> SubscriptionAt:
    items = (one.get("items") or {}).get("data") or []
    products = [(item.get("price") or {}).get("product") for item in items]
    products = [product["id"] if isinstance(product, dict) else product for product in products]
    plans = {name.removeprefix(PRODUCT) for name in products if isinstance(name, str) and name.startswith(PRODUCT)}
    begins, ends = ([item[name] for item in items if item.get(name)] for name in _PERIOD)
    period = (_at(min(begins)) if begins else None, _at(min(ends)) if ends else None)
    return SubscriptionAt(one["id"], one["status"], min(plans, default=None), _at(one["created"]), *period)


_PERIOD = ("current_period_start", "current_period_end")


def _invoice(one: dict[str, Any]) -> InvoiceAt:
    begin, end = one.get("period_start"), one.get("period_end")
    return InvoiceAt(
        *(one["id"], one.get("number"), one.get("status") or "draft", one["currency"]),
        *(one["total"], one["amount_due"], one["amount_paid"], _at(one["created"])),
        *(_at(begin) if begin else None, _at(end) if end else None),
        *(one.get("hosted_invoice_url"), one.get("invoice_pdf")),
    )


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
