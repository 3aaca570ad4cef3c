"""Stripe's SDK against the stand-in: what is sent fits its types; products and prices are brought there once."""

import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest
import stripe

from aicd_backend.billing.plans import Plans
from aicd_backend.billing.stripe_api import StripeApi
from aicd_backend.billing.stripe_faults import Busy, Duplicate, NotAllowed, Refused, Unheard, Unreached
from aicd_backend.billing.syncing import lookup_key, sync
from aicd_backend.settings import BackendSettings
from aicd_backend.testing.stripe.books import Books, Fault
from aicd_backend.testing.stripe.customers import close_period, complete_checkout
from aicd_backend.testing.stripe.server import StandIn, serving_stripe
from aicd_backend.testing.stripe.webhooks import disorder, error_report, sign
from aicd_core.errors import InvalidInputError
from aicd_core.usage.billing.models import BillingMode

PLANS = Plans.load()
EVENTS = "/v1/billing/meter_events"
SECRET = "whsec_stand_in"


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with serving_stripe() as served:
        yield served


@pytest.fixture
async def api(stand_in: StandIn) -> AsyncIterator[StripeApi]:
    async with StripeApi(stand_in.books.key, BillingMode.TEST, stand_in.url, timeout=2.0) as opened:
        yield opened


def raw(stand_in: StandIn, path: str, form: dict[str, str], key: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {stand_in.books.key}"}
    headers |= {"Idempotency-Key": key} if key else {}
    return httpx.post(f"{stand_in.url}{path}", data=form, headers=headers)


async def test_sync_makes_what_the_plans_say_and_a_second_run_writes_nothing(stand_in: StandIn, api: StripeApi) -> None:
    books = stand_in.books
    told = await sync(api, PLANS)
    assert len(told) == len(books.writes()) == 13 + 2 + 13
    assert {meter["event_name"] for meter in books.all("billing.meter")} == set(PLANS.meters())
    price = next(one for one in books.all("price") if one["lookup_key"] == "aicd_per_token:aicd_medium_input_tokens")
    assert Decimal(price["unit_amount_decimal"]) == Decimal("0.00036")  # cents: 3.6 micro-USD
    before = len(books.writes())
    assert await sync(api, PLANS) == []
    assert len(books.writes()) == before


async def test_sync_mends_what_differs_and_goes_on_where_it_was_broken_off(stand_in: StandIn, api: StripeApi) -> None:
    books = stand_in.books
    books.plan("POST", "/v1/prices", Fault.AFTER)
    with pytest.raises(Unheard):
        await sync(api, PLANS)
    await sync(api, PLANS)
    assert len({price["lookup_key"] for price in books.all("price")}) == len(books.all("price")) == 13
    old = next(price for price in books.all("price") if price["product"] == "aicd_per_pull_request")
    terms = PLANS.of("per_pull_request").model_dump() | {"pull_requests": {"price_micro_usd": 7_000_000}}
    dearer = Plans.model_validate(
        PLANS.model_dump() | {"plans": {**PLANS.model_dump()["plans"], "per_pull_request": terms}}
    )
    books.get("product", "aicd_per_token")["name"] = "renamed by hand"
    books.all("billing.meter")[0]["status"] = "inactive"
    strange = [one for one in books.all("price") if one["product"] == "aicd_per_token"]
    strange[0]["currency"] = "eur"  # made by hand, under the keys of ours
    strange[1]["recurring"] = {**strange[1]["recurring"], "interval": "year"}
    strange[2]["unit_amount_decimal"] = None
    assert len(await sync(api, dearer)) == 3 + 3
    key = lookup_key("per_pull_request", "aicd_pull_requests")
    (new,) = (price for price in books.all("price") if price["lookup_key"] == key)
    assert (new["unit_amount"], old["active"], old["lookup_key"]) == (700, False, None)
    assert await sync(api, dearer) == []


async def test_answers_are_told_apart_by_what_may_be_done_about_them(stand_in: StandIn, api: StripeApi) -> None:
    books, now = stand_in.books, datetime.now(UTC)
    await sync(api, PLANS)
    customer = books.add("customer", "cus")["id"]
    sent = ("aicd_pull_requests", "one", customer, 1, now)
    await api.send_event(*sent)
    with pytest.raises(Duplicate):
        await api.send_event(*sent)
    faults = {Fault.BEFORE: Unheard, Fault.AFTER: Unheard, Fault.LOST: Unheard, Fault.DUPLICATE: Duplicate}
    for number, (fault, kind) in enumerate({**faults, Fault.LIMITED: Busy, Fault.LIMITED_BARE: Busy}.items()):
        books.plan("POST", EVENTS, fault)
        with pytest.raises(kind) as caught:
            await api.send_event("aicd_pull_requests", f"fault-{number}", customer, 1, now)
        if isinstance(caught.value, Busy):
            assert caught.value.wait == (books.retry_after if fault is Fault.LIMITED else None)
    for meter, at in (
        ("aicd_nothing", now),
        (sent[0], now - timedelta(days=36)),
        (sent[0], now + timedelta(minutes=9)),
    ):
        with pytest.raises(Refused):
            await api.send_event(meter, "refused", customer, 1, at)
    assert books.total("aicd_pull_requests") == 1 + 2  # AFTER and LOST took effect
    async with StripeApi("sk_test_wrong", BillingMode.TEST, stand_in.url) as stranger:
        with pytest.raises(NotAllowed):
            await stranger.send_event(*sent)
    async with StripeApi("sk_test_x", BillingMode.TEST, "http://127.0.0.1:1") as nobody:
        with pytest.raises(Unreached):
            await nobody.send_event(*sent)


def test_the_stand_in_refuses_what_the_sdks_types_do_not_have(stand_in: StandIn) -> None:
    meter = {"display_name": "M", "event_name": "m", "default_aggregation[formula]": "sum"}
    mapping = {"customer_mapping[type]": "by_id", "customer_mapping[event_payload_key]": "c"}
    wrong = (
        ({**meter, "colour": "red"}, "unknown parameter: colour"),
        ({**meter, **mapping, "customer_mapping[x]": "1"}, r"customer_mapping\[x\]"),
        ({"display_name": "M", "event_name": "m"}, "Missing required param: default_aggregation"),
        ({**meter, "default_aggregation[formula]": "median"}, "must be one of"),
        ({**meter, "api_key": "sk_test_1"}, "unknown parameter: api_key"),
        ({**meter, "expand": "x"}, "Invalid array: expand"),
    )
    for form, told in wrong:
        answer = raw(stand_in, "/v1/billing/meters", form)
        assert answer.status_code == 400
        assert re.search(told, answer.json()["error"]["message"])
    form = {"event_name": "m", "payload[value]": "1.5", "timestamp": "soon"}
    assert "timestamp" in raw(stand_in, EVENTS, form).json()["error"]["message"]
    assert stand_in.books.things == {}


def test_an_idempotency_key_gives_the_same_answer_and_refuses_another_request(stand_in: StandIn) -> None:
    first = raw(stand_in, "/v1/customers", {"name": "Ada"}, "key-1")
    again = raw(stand_in, "/v1/customers", {"name": "Ada"}, "key-1")
    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(stand_in.books.all("customer")) == 1
    other = raw(stand_in, "/v1/customers", {"name": "Eve"}, "key-1")
    assert other.status_code == 400
    assert raw(stand_in, "/v1/customers", {"name": "Eve"}, "key-2").json()["id"] != first.json()["id"]


async def test_a_customer_pays_at_the_stand_in_for_what_was_counted(stand_in: StandIn, api: StripeApi) -> None:
    books = stand_in.books
    await sync(api, PLANS)
    (price,) = (await api.prices([lookup_key("per_pull_request", "aicd_pull_requests")])).values()
    client = stripe.StripeClient(books.key, base_addresses={"api": stand_in.url})
    customer = client.v1.customers.create({"name": "Acme", "metadata": {"org": "acme"}})
    session = client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": customer.id,
            "line_items": [{"price": price.id}],
            "success_url": "https://app.example.com/",
        }
    )
    subscription = complete_checkout(books, session.id)
    for number in range(3):
        await api.send_event("aicd_pull_requests", f"pr-{number}", customer.id, 1, datetime.now(UTC))
    await api.cancel_event("aicd_pull_requests", "pr-1")
    invoice = close_period(books, subscription["id"])
    assert (invoice["amount_due"], invoice["status"]) == (1000, "paid")
    shown = client.v1.invoices.list({"customer": customer.id})
    assert [one.id for one in shown.data] == [invoice["id"]]
    portal = client.v1.billing_portal.sessions.create({"customer": customer.id})
    assert portal.url.startswith("https://")
    kinds = [event["type"] for event in books.emitted]
    assert kinds[:2] == ["customer.subscription.created", "checkout.session.completed"]
    mixed = [*disorder(books.emitted, seed=1)]
    assert len(mixed) == 2 * len(books.emitted)
    error_report(books, "mtr_1", "pr-0")
    for event in books.emitted:
        delivery = sign(event, SECRET)
        assert stripe.WebhookSignature.verify_header(delivery.body, delivery.signature, SECRET, 300)
        assert json.loads(delivery.body)["id"] == event["id"]
    old = sign(books.emitted[0], SECRET, age=301)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(old.body, old.signature, SECRET, 300)
    assert int(sign({}, SECRET, age=-60).signature[2:12]) > time.time()


@pytest.mark.parametrize(
    ("key", "mode"), [("sk_live_1", "test"), ("rk_live_1", "test"), ("sk_test_1", "live"), ("whsec_1", "test")]
)
def test_keys_of_the_other_mode_are_refused_before_anything_is_asked(
    key: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidInputError, match=f"no {mode} key"):
        StripeApi(key, BillingMode(mode))
    monkeypatch.setenv("AICD_STRIPE_KEY", key)
    for named in {mode, mode if mode == "live" else ""} - {""}:
        monkeypatch.setenv("AICD_STRIPE_MODE", named)
        with pytest.raises(InvalidInputError, match="AICD_STRIPE_MODE"):
            BackendSettings.load()


async def test_an_account_of_the_other_mode_is_refused_whatever_the_key_says(stand_in: StandIn, api: StripeApi) -> None:
    await api.require_mode()
    stand_in.books.live = True
    with pytest.raises(InvalidInputError, match="other mode"):
        await api.require_mode()


def test_faults_of_chance_are_told_by_method_and_path() -> None:
    seen: list[tuple[str, str]] = []
    books = Books(chance=lambda method, path: seen.append((method, path)))  # type: ignore[func-returns-value]
    with serving_stripe(books) as served:
        raw(served, "/v1/customers", {})
    assert seen == [("POST", "/v1/customers")]
