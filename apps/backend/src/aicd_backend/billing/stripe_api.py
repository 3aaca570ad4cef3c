"""Stripe, through its SDK, which nothing else imports. One call is one call: the SDK's own retries are off.

Its retries do not know `Retry-After`, give up a bare 429, and what may be repeated depends on the effect.
"""

import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

import httpx
import stripe
from stripe import StripeClient

from aicd_backend.billing.plans import PICO_PER_MICRO
from aicd_backend.billing.stripe_faults import Busy, Duplicate, NotAllowed, Refused, StripeFault, Unheard, Unreached
from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_core.usage.billing.models import BillingMode

TIMEOUT = 30.0
"""Seconds until an answer is given up."""
DUPLICATE = "An event already exists with identifier"
"""https://docs.stripe.com/api/billing/meter-event/create: the only sign of a meter event that was taken before."""
verify_header, BadSignature = stripe.WebhookSignature.verify_header, stripe.SignatureVerificationError
PICO_PER_CENT = PICO_PER_MICRO * 10_000
LOOKUP_KEYS_MOST = 10
"""https://docs.stripe.com/api/prices/list: so many lookup keys in one call."""


@dataclass(frozen=True)
class MeterAt:
    """A meter at Stripe. `name` is what events are sent under."""

    id: str
    name: str
    title: str
    active: bool


@dataclass(frozen=True)
class ProductAt:
    """A product at Stripe."""

    id: str
    name: str
    active: bool


@dataclass(frozen=True)
class PriceAt:
    """A price at Stripe, in 10^-12 US dollars. `meter` is the id of its meter, None for one of seats.

    `unit_pico_usd` is None where it is not so much for each unit, in US dollars, every month: somebody else made it.
    """

    id: str
    lookup_key: str
    product: str
    unit_pico_usd: int | None
    meter: str | None


def mode_of(key: str) -> BillingMode | None:
    """Which of Stripe's two worlds a secret or restricted key is of; None: it is no such key."""
    for mode in BillingMode:
        if key.startswith((f"sk_{mode.value}_", f"rk_{mode.value}_")) and len(key.split("_", 2)[2]) > 0:
            return mode
    return None


class _Http(stripe.HTTPClient):
    """How the SDK's calls travel. Its own way through httpx uses what httpx will do away with."""

    name = "httpx"

    def __init__(self, timeout: float) -> None:
        super().__init__()
        self._async = httpx.AsyncClient(timeout=timeout, follow_redirects=False)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        try:
            found = await self._async.request(method, url, headers=dict(headers), content=post_data)
        except httpx.HTTPError as error:
            raise stripe.APIConnectionError(f"{error}" or type(error).__name__) from error  # type: ignore[no-untyped-call]
        return found.content, found.status_code, found.headers

    async def close_async(self) -> None:
        await self._async.aclose()


class StripeApi:
    """Calls of one Stripe account in one mode.

    Args:
        base_url: another address than Stripe's own; for tests.
    """

    def __init__(self, key: str, mode: BillingMode, base_url: str | None = None, timeout: float = TIMEOUT) -> None:
        if mode_of(key) is not mode:
            raise InvalidInputError(
                f"AICD_STRIPE_KEY is no {mode.value} key, and AICD_STRIPE_MODE is {mode.value}. A {mode.value} key "
                f"begins with sk_{mode.value}_ or rk_{mode.value}_.",
                code="stripe_mode",
            )
        logging.getLogger("stripe").setLevel(logging.WARNING)  # it tells of each call twice, with customers' names
        self.mode = mode
        self._http = _Http(timeout)
        bases: Any = {"api": base_url} if base_url else None
        self._client = StripeClient(key, http_client=self._http, max_network_retries=0, base_addresses=bases)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close_async()

    async def require_mode(self) -> None:
        """Asks Stripe itself which mode the key is of.

        Raises:
            InvalidInputError: `stripe_mode`: not the one that is set.
            UnavailableError: `stripe_unavailable`: Stripe cannot be reached, or does not know the key.
        """
        try:
            balance = await self._told(self._client.v1.balance.retrieve_async())
        except StripeFault as fault:
            raise UnavailableError(
                f"Stripe did not say whose key AICD_STRIPE_KEY is: {fault}. Check the key and the network.",
                code="stripe_unavailable",
            ) from fault
        if balance.livemode is not (self.mode is BillingMode.LIVE):
            raise InvalidInputError(
                f"AICD_STRIPE_MODE is {self.mode.value}, and Stripe says that the key is of its other mode. Nothing "
                "was sent; use the key of that mode.",
                code="stripe_mode",
            )

    async def send_event(self, meter: str, identifier: str, customer: str, quantity: int, at: datetime) -> None:
        """Tells Stripe what was used: `quantity` of a meter by a customer, once for an identifier.

        Raises:
            StripeFault: `Duplicate`: it was told before; else it was not, or (`Unheard`) may have been.
        """
        params: Any = {
            "event_name": meter,
            "identifier": identifier,
            "payload": {"stripe_customer_id": customer, "value": str(quantity)},
            "timestamp": int(at.timestamp()),
        }
        await self._told(self._client.v1.billing.meter_events.create_async(params))

    async def cancel_event(self, meter: str, identifier: str) -> None:
        """Takes an event back that Stripe received in the last 24 hours; raises StripeFault."""
        params: Any = {"event_name": meter, "type": "cancel", "cancel": {"identifier": identifier}}
        await self._told(self._client.v1.billing.meter_event_adjustments.create_async(params))

    async def counted(self, meter_id: str, customer: str, since: datetime, until: datetime) -> Decimal:
        """What Stripe has counted of a customer's use from `since` on and before `until`, both whole minutes."""
        params: Any = {
            "customer": customer,
            "start_time": int(since.timestamp()),
            "end_time": int(until.timestamp()),
            "limit": 100,
        }
        listed = await self._told(self._client.v1.billing.meters.event_summaries.list_async(meter_id, params))
        return sum([Decimal(str(part.aggregated_value)) async for part in self._all(listed)], Decimal(0))

    async def meters(self) -> dict[str, MeterAt]:
        """All meters by name; of two with one name, which Stripe allows when one is inactive, the active one."""
        listed = await self._told(self._client.v1.billing.meters.list_async({"limit": 100}))
        found: dict[str, MeterAt] = {}
        async for one in self._all(listed):
            if one.status == "active" or one.event_name not in found:
                found[one.event_name] = MeterAt(one.id, one.event_name, one.display_name, one.status == "active")
        return found

    async def create_meter(self, name: str, title: str) -> MeterAt:
        """Makes a meter that adds up whole numbers by customer; raises StripeFault."""
        params: Any = {
            "display_name": title,
            "event_name": name,
            "default_aggregation": {"formula": "sum"},
            "customer_mapping": {"type": "by_id", "event_payload_key": "stripe_customer_id"},
            "value_settings": {"event_payload_key": "value"},
        }
        made = await self._told(self._client.v1.billing.meters.create_async(params))
        return MeterAt(made.id, name, title, active=True)

    async def revive_meter(self, meter: MeterAt, title: str) -> None:
        """Gives a meter its title, and takes it into use again if it was not; raises StripeFault."""
        if not meter.active:
            await self._told(self._client.v1.billing.meters.reactivate_async(meter.id))
        if meter.title != title:
            await self._told(self._client.v1.billing.meters.update_async(meter.id, {"display_name": title}))

    async def product(self, product_id: str) -> ProductAt | None:
        """A product, or None; raises StripeFault."""
        try:
            found = await self._told(self._client.v1.products.retrieve_async(product_id))
        except Refused as fault:
            if fault.code == "resource_missing":
                return None
            raise
        return ProductAt(found.id, found.name, found.active)

    async def create_product(self, product_id: str, name: str, metadata: Mapping[str, str]) -> None:
        """Makes a product; raises StripeFault."""
        params: Any = {"id": product_id, "name": name, "metadata": dict(metadata)}
        await self._told(self._client.v1.products.create_async(params))

    async def update_product(self, product_id: str, name: str) -> None:
        """Gives a product its name, and takes it into use; raises StripeFault."""
        await self._told(self._client.v1.products.update_async(product_id, {"name": name, "active": True}))

    async def prices(self, lookup_keys: list[str]) -> dict[str, PriceAt]:
        """The active prices of lookup keys; raises StripeFault."""
        found: dict[str, PriceAt] = {}
        for start in range(0, len(lookup_keys), LOOKUP_KEYS_MOST):
            some = lookup_keys[start : start + LOOKUP_KEYS_MOST]
            params: Any = {"lookup_keys": some, "active": True, "limit": 100}
            async for one in self._all(await self._told(self._client.v1.prices.list_async(params))):
                product = one.product if isinstance(one.product, str) else one.product.id
                unit = _unit_of(one)
                meter = one.recurring.meter if one.recurring else None
                found[str(one.lookup_key)] = PriceAt(one.id, str(one.lookup_key), product, unit, meter)
        return found

    async def create_price(self, product: str, lookup_key: str, unit_pico_usd: int, meter_id: str | None) -> None:
        """Makes a monthly price and gives it the lookup key, which another price may have had; raises StripeFault."""
        metered = {"usage_type": "metered", "meter": meter_id} if meter_id else {"usage_type": "licensed"}
        params: Any = {
            "currency": "usd",
            "product": product,
            "lookup_key": lookup_key,
            "transfer_lookup_key": True,
            "unit_amount_decimal": format(Decimal(unit_pico_usd) / PICO_PER_CENT, "f"),
            "recurring": {"interval": "month", **metered},
        }
        await self._told(self._client.v1.prices.create_async(params))

    async def retire_price(self, price_id: str) -> None:
        """Takes a price out of use; who subscribed to it keeps it; raises StripeFault."""
        await self._told(self._client.v1.prices.update_async(price_id, {"active": False}))

    async def _all(self, listed: Any) -> AsyncIterator[Any]:
        """Everything in a list, page after page."""
        while True:
            for one in listed.data:
                yield one
            if not listed.has_more:
                return
            listed = await self._told(listed.next_page_async())

    async def _told(self, call: Any) -> Any:
        try:
            return await call
        except stripe.StripeError as error:
            raise _fault(error) from error


def _unit_of(price: Any) -> int | None:
    each, amount = price.recurring, price.unit_amount_decimal
    if amount is None or each is None or (price.currency, each.interval, each.interval_count) != ("usd", "month", 1):
        return None
    return int(Decimal(str(amount)) * PICO_PER_CENT)


def _fault(error: stripe.StripeError) -> StripeFault:
    status, said = error.http_status, error.user_message or str(error)
    if status is None:
        reached = not isinstance(error.__cause__, httpx.ConnectError | httpx.ConnectTimeout)
        return (Unheard if reached else Unreached)(said, "no_answer")
    if status == 429:
        return Busy(said, _seconds(error.headers or {}))
    if status >= 500 or status == 409:
        return Unheard(said, f"status_{status}")
    if status in {401, 403}:
        return NotAllowed(said, error.code or f"status_{status}")
    if status == 400 and DUPLICATE in said:
        return Duplicate(said, error.code)
    return Refused(said, error.code or f"status_{status}")


def _seconds(headers: Mapping[str, str]) -> float | None:
    given = {name.lower(): value for name, value in headers.items()}.get("retry-after", "")
    try:
        return max(0.0, float(given))
    except ValueError:
        return None
