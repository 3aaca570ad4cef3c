"""The stand-in on the wire: Stripe's addresses, form-encoded requests, JSON answers, idempotency keys and faults."""

import asyncio
import base64
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import stripe.params as v1
import stripe.params.billing as billing
import stripe.params.billing_portal as portal
import stripe.params.checkout as checkout
import stripe.params.v2.core as v2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aicd_backend.testing.stripe import catalogue, customers, usage
from aicd_backend.testing.stripe.books import Books, Exchange, Fault, Thing
from aicd_backend.testing.stripe.params import Wrong, check, decode

Handler = Callable[[Books, Mapping[str, str], Thing], Any]
Filter = Callable[[Books, Thing, Thing], bool]


def _get(kind: str) -> Handler:
    return lambda books, path, _sent: books.get(kind, path["id"])


def _list(kind: str, wanted: Filter = lambda _books, _thing, _sent: True) -> Handler:
    def found(books: Books, _path: Mapping[str, str], sent: Thing) -> list[Thing]:
        listed = [thing for thing in books.all(kind) if wanted(books, thing, sent)]
        return [one for one in listed if "active" not in sent or one.get("active") == sent["active"]]

    return found


def _balance(books: Books, _path: Mapping[str, str], _sent: Thing) -> Thing:
    return {"object": "balance", "livemode": books.live, "available": [], "pending": []}


ROUTES: tuple[tuple[str, str, Any, Handler], ...] = (
    ("GET", "/v1/balance", v1.BalanceRetrieveParams, _balance),
    ("POST", "/v1/billing/meters", billing.MeterCreateParams, usage.create_meter),
    ("GET", "/v1/billing/meters", billing.MeterListParams, _list(usage.METER)),
    ("GET", "/v1/billing/meters/{id}", billing.MeterRetrieveParams, _get(usage.METER)),
    ("POST", "/v1/billing/meters/{id}", billing.MeterUpdateParams, usage.update_meter),
    ("POST", "/v1/billing/meters/{id}/reactivate", billing.MeterReactivateParams, usage.reactivate_meter),
    ("POST", "/v1/billing/meters/{id}/deactivate", billing.MeterDeactivateParams, usage.deactivate_meter),
    ("GET", "/v1/billing/meters/{id}/event_summaries", billing.MeterListEventSummariesParams, usage.list_summaries),
    ("POST", "/v1/billing/meter_events", billing.MeterEventCreateParams, usage.create_event),
    ("POST", "/v1/billing/meter_event_adjustments", billing.MeterEventAdjustmentCreateParams, usage.create_adjustment),
    ("POST", "/v1/products", v1.ProductCreateParams, catalogue.create_product),
    ("GET", "/v1/products", v1.ProductListParams, _list("product")),
    ("GET", "/v1/products/{id}", v1.ProductRetrieveParams, _get("product")),
    ("POST", "/v1/products/{id}", v1.ProductUpdateParams, catalogue.update_product),
    ("POST", "/v1/prices", v1.PriceCreateParams, catalogue.create_price),
    ("GET", "/v1/prices", v1.PriceListParams, _list("price", catalogue.filter_prices)),
    ("GET", "/v1/prices/{id}", v1.PriceRetrieveParams, _get("price")),
    ("POST", "/v1/prices/{id}", v1.PriceUpdateParams, catalogue.update_price),
    ("POST", "/v1/customers", v1.CustomerCreateParams, customers.create_customer),
    ("GET", "/v1/customers", v1.CustomerListParams, _list("customer")),
    ("GET", "/v1/customers/{id}", v1.CustomerRetrieveParams, _get("customer")),
    ("POST", "/v1/customers/{id}", v1.CustomerUpdateParams, customers.update_customer),
    ("POST", "/v1/checkout/sessions", checkout.SessionCreateParams, customers.create_checkout),
    ("GET", "/v1/checkout/sessions/{id}", checkout.SessionRetrieveParams, _get("checkout.session")),
    ("POST", "/v1/billing_portal/sessions", portal.SessionCreateParams, customers.create_portal),
    ("POST", "/v1/subscriptions", v1.SubscriptionCreateParams, customers.create_subscription),
    ("GET", "/v1/subscriptions", v1.SubscriptionListParams, _list("subscription", customers.of_customer)),
    ("GET", "/v1/subscriptions/{id}", v1.SubscriptionRetrieveParams, _get("subscription")),
    ("POST", "/v1/subscriptions/{id}", v1.SubscriptionUpdateParams, customers.update_subscription),
    ("DELETE", "/v1/subscriptions/{id}", v1.SubscriptionCancelParams, customers.cancel_subscription),
    ("GET", "/v1/invoices", v1.InvoiceListParams, _list("invoice", customers.of_customer)),
    ("GET", "/v1/invoices/{id}", v1.InvoiceRetrieveParams, _get("invoice")),
    ("GET", "/v1/charges", v1.ChargeListParams, _list("charge", customers.of_customer)),
    ("GET", "/v1/charges/{id}", v1.ChargeRetrieveParams, _get("charge")),
    ("GET", "/v1/disputes", v1.DisputeListParams, _list("dispute", customers.of_charge)),
    ("GET", "/v2/core/events/{id}", v2.EventRetrieveParams, _get("v2.core.event")),
)


@dataclass
class StandIn:
    """A running stand-in."""

    books: Books
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving_stripe(books: Books | None = None, port: int = 0) -> Iterator[StandIn]:
    """Runs the stand-in, on a free port unless one is named, while the block runs."""
    listening = socket.create_server(("127.0.0.1", port))
    stand_in = StandIn(books or Books(), listening.getsockname()[1])
    app = application(stand_in.books)
    options = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    running = uvicorn.Server(options)
    thread = threading.Thread(target=lambda: asyncio.run(running.serve([listening])))
    thread.start()
    try:
        yield stand_in
    finally:
        running.should_exit = True
        thread.join()
        listening.close()


def application(books: Books) -> Starlette:
    """The stand-in as an application."""
    return Starlette(
        routes=[
            Route(path, _endpoint(books, path, kind, handler), methods=[method])
            for method, path, kind, handler in ROUTES
        ]
    )


def _endpoint(books: Books, path: str, kind: Any, handler: Handler) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        fault = books.fault(request.method, path)
        raw = (await request.body()).decode() if request.method == "POST" else request.url.query
        status, body, headers = await _answered(books, request, kind, handler, raw, fault)
        books.exchanges.append(Exchange(request.method, request.url.path, {"raw": raw}, status, fault))
        if fault is Fault.LOST:
            while (await request.receive())["type"] != "http.disconnect":
                pass
        return JSONResponse(body, status, {"Request-Id": f"req_{len(books.exchanges)}", **headers})

    return answer


async def _answered(
    books: Books, request: Request, kind: Any, handler: Handler, raw: str, fault: Fault | None
) -> tuple[int, Thing, dict[str, str]]:
    if fault is Fault.BEFORE:
        return 500, Wrong("Something went wrong on Stripe's end.", status=500).body(), {}
    if fault in {Fault.LIMITED, Fault.LIMITED_BARE}:
        headers = {"Retry-After": str(books.retry_after)} if fault is Fault.LIMITED else {}
        return 429, Wrong("Too many requests.", status=429, code="rate_limit").body(), headers
    if fault is Fault.DUPLICATE:
        sent = decode(raw).get("identifier", "")
        return 400, Wrong(f"An event already exists with identifier {sent}.", param="identifier").body(), {}
    try:
        _require_key(books, request)
        sent = check(kind, decode(raw))
        stream = (str(sent.get("event_name")), str(sent.get("payload", {}).get("stripe_customer_id")))
        async with _alone(books, stream, "payload" in sent):
            with books.lock:
                status, body, headers = _once(books, request, raw, sent, handler)
    except Wrong as wrong:
        status, body, headers = wrong.status, wrong.body(), {}
    if fault is Fault.AFTER and status < 300:
        return 500, Wrong("Something went wrong on Stripe's end.", status=500).body(), {}
    return status, body, headers


class _alone:  # noqa: N801 - used as a statement
    """One call at a time of one customer and meter: https://docs.stripe.com/billing/subscriptions/usage-based."""

    def __init__(self, books: Books, stream: tuple[str, str], matters: bool) -> None:
        self.books, self.stream, self.matters = books, stream, matters

    async def __aenter__(self) -> None:
        if self.matters and self.books.busy[self.stream]:
            raise Wrong("Another call is being made for this customer and meter.", status=429, code="lock_timeout")
        self.books.busy[self.stream] += 1
        await asyncio.sleep(0)

    async def __aexit__(self, *_: object) -> None:
        self.books.busy[self.stream] -= 1


def _require_key(books: Books, request: Request) -> None:
    given = request.headers.get("authorization", "")
    if given.startswith("Basic "):
        given = f"Bearer {base64.b64decode(given.removeprefix('Basic ')).decode().partition(':')[0]}"
    if given != f"Bearer {books.key}":
        raise Wrong("Invalid API Key provided.", status=401)


def _once(books: Books, request: Request, raw: str, sent: Thing, handler: Handler) -> tuple[int, Thing, dict[str, str]]:
    """Carries a call out; one with a known idempotency key gets the answer that it had."""
    key = request.headers.get("idempotency-key")
    asked = hashlib.sha256(f"{request.method} {request.url.path} {raw}".encode()).hexdigest()
    if key is not None and request.method == "POST" and key in books.answers:
        same, status, body = books.answers[key]
        if same != asked:
            raise Wrong("Keys for idempotent requests can only be used with the same parameters.", code="idempotency")
        return status, body, {"Idempotent-Replayed": "true"}
    result = handler(books, request.path_params, sent)
    body = _page(result, request, sent) if isinstance(result, list) else json.loads(json.dumps(result, default=str))
    if key is not None and request.method == "POST":
        books.answers[key] = (asked, 200, body)
    return 200, body, {}


def _page(found: list[Thing], request: Request, sent: Thing) -> Thing:
    limit = sent.get("limit", 10)
    if not 1 <= limit <= 100:
        raise Wrong("Invalid limit: from 1 to 100", param="limit")
    ids = [thing["id"] for thing in found]
    after = sent.get("starting_after")
    start = ids.index(after) + 1 if after in ids else 0
    shown = json.loads(json.dumps(found[start : start + limit], default=str))
    return {"object": "list", "url": request.url.path, "data": shown, "has_more": start + limit < len(found)}
