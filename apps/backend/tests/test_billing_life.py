"""From checkout to a paid month, and from a failed payment back: the server, with Stripe's stand-in over loopback."""

import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import update

from aicd_backend.app import open_billing
from aicd_backend.billing.accounts.repository import find_account, find_customer
from aicd_backend.billing.exports.repository import list_exports, reject
from aicd_backend.billing.keeping import Keeper
from aicd_backend.billing.sending import Sender
from aicd_backend.billing.stripe_customers import StripeCustomers
from aicd_backend.billing.syncing import sync
from aicd_backend.billing.values import Account
from aicd_backend.settings import BackendSettings
from aicd_backend.testing import job_recipes
from aicd_backend.testing.ledgers import LedgerWriter
from aicd_backend.testing.stripe.books import Books, Fault, Thing
from aicd_backend.testing.stripe.customers import close_period, complete_checkout, dispute, pay, settle
from aicd_backend.testing.stripe.server import serving_stripe
from aicd_backend.testing.stripe.webhooks import disorder, error_report, sign
from aicd_backend.testing.world import FRONT_END, OpenWorld, World, settings_under_test
from aicd_core.db.pages import PageRequest
from aicd_core.db.sessions import WriteSession
from aicd_core.jobs.machine import JobEvent, JobState
from aicd_core.orchestrator.admission import Admission
from aicd_core.telemetry.metrics import REGISTRY
from aicd_core.tenancy.audit.repository import list_entries
from aicd_core.tenancy.audit.values import AuditFilter
from aicd_core.tenancy.permissions import Role
from aicd_core.testing.databases import TestUrls
from aicd_core.usage.billing.models import AccountStatus, BillingAccount, BillingMode, ExportState

OLD, NEW = "whsec_the_one_before_000", "whsec_the_one_of_now_000"
HOME = f"{FRONT_END}/billing"
CHECKOUT = {"plan": "per_pull_request", "success_url": f"{HOME}?done", "cancel_url": HOME}

ENDED = "aicd_billing_events_total"


@dataclass
class Shop:
    """The server, billing in it, and what Stripe keeps."""

    world: World
    keeper: Keeper
    books: Books
    urls: TestUrls

    async def deliver(self, events: Iterable[Thing]) -> None:
        for event in [*events]:
            answer = await self.post(sign(event, NEW).body, sign(event, NEW).signature)
            assert answer.status_code == 200, answer.text
        await self.keeper.handler.work()

    async def post(self, body: bytes, signature: str | None) -> httpx.Response:
        headers = {} if signature is None else {"Stripe-Signature": signature}
        return await self.world.client.post("/webhooks/stripe", content=body, headers=headers)

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        owner = await self.world.as_role(Role.OWNER)
        url = f"/v1/organizations/acme/{path}"
        return await self.world.client.request(method, url, json=body, headers={**owner, **headers})

    async def account(self) -> Account:
        async with self.world.stores.database.read(self.world.us.tenant) as session:
            found = await find_account(session, self.world.us.tenant)
        assert found is not None
        return found

    async def subscribe(self) -> Thing:
        """Checks out, pays, and has Stripe tell of it."""
        answer = await self.call("POST", "billing/checkout", CHECKOUT)
        assert answer.status_code == 200, answer.text
        made = complete_checkout(self.books, answer.json()["url"].rpartition("/")[2])
        await self.deliver(self.books.emitted)
        return made

    async def opened_pull_request(self) -> None:
        """A job opened its pull request just now."""
        writer = LedgerWriter(self.urls, self.world.us.tenant)
        writer.event(writer.job("pr_open"), 1, "published", "pr_open", datetime.now(UTC))

    async def make_job(self) -> httpx.Response:
        of = await job_recipes.repository(self.world, self.world.us)
        return await self.call("POST", "jobs", {"repository_id": str(of), "issue": f"Greet {random.random()}"})

    async def told(self, action: str) -> list[dict[str, Any]]:
        async with self.world.stores.database.read(self.world.us.tenant) as session:
            page = await list_entries(session, self.world.us.tenant, PageRequest(limit=100), AuditFilter((action,)))
        return [{**entry.detail, "target": entry.target_id} for entry in page.items][::-1]


def settings_for(stand_in: str, **more: Any) -> BackendSettings:
    given = {
        "stripe_key": SecretStr("sk_test_stand_in"),
        "stripe_url": stand_in,
        "stripe_webhook_secrets": SecretStr(f"{OLD},{NEW}"),
        "local_repositories": True,
        **more,
    }
    return settings_under_test().model_copy(update=given)


@asynccontextmanager
async def opened(world_with: OpenWorld, urls: TestUrls, **more: Any) -> AsyncIterator[Shop]:
    with serving_stripe() as stand_in:
        settings = settings_for(stand_in.url, **more)
        async with (
            StripeCustomers(stand_in.books.key, BillingMode.TEST, stand_in.url) as api,
            world_with(settings) as world,
        ):
            keeper = Keeper.of(world.stores, api)
            open_billing(world.app, keeper, world.stores)
            await sync(api, keeper.charger.plans)
            yield Shop(world, keeper, stand_in.books, urls)


@pytest.fixture
async def shop(world_with: OpenWorld, world_urls: TestUrls) -> AsyncIterator[Shop]:
    async with opened(world_with, world_urls) as made:
        yield made


async def test_checkout_leads_to_an_active_subscription_invoices_and_the_portal(shop: Shop) -> None:
    assert (await shop.call("POST", "billing/portal", {"return_url": HOME})).json()["code"] == "no_customer"
    made = await shop.subscribe()
    told = (await shop.call("GET", "billing")).json()
    assert (told["enabled"], told["plan"]["name"], told["status"]) == (True, "per_pull_request", "active")
    account = await shop.account()
    assert (account.subscription, account.customer) == (made["id"], made["customer"])
    assert account.trial_end is not None
    assert account.trial_end - account.billed_from == timedelta(days=14)
    assert (await shop.call("POST", "billing/checkout", CHECKOUT)).json()["code"] == "subscribed"
    assert (await shop.call("POST", "billing/portal", {"return_url": HOME})).json()["url"].startswith("https://billing")
    close_period(shop.books, made["id"])
    close_period(shop.books, made["id"])
    first = (await shop.call("GET", "billing/invoices?limit=1")).json()
    rest = (await shop.call("GET", f"billing/invoices?limit=1&cursor={first['next_cursor']}")).json()
    assert [len(first["items"]), len(rest["items"]), rest["next_cursor"]] == [1, 1, None]
    assert first["items"][0]["id"] != rest["items"][0]["id"]
    elsewhere = {**CHECKOUT, "success_url": f"{FRONT_END}.evil.test/"}
    assert (await shop.call("POST", "billing/checkout", elsewhere)).json()["code"] == "bad_return_url"


async def test_a_plan_never_begins_without_its_trial_though_stripe_fails_after_its_first_answer(shop: Shop) -> None:
    answer = await shop.call("POST", "billing/checkout", CHECKOUT)
    complete_checkout(shop.books, answer.json()["url"].rpartition("/")[2])
    answers = iter([None])
    shop.books.chance = lambda _method, path: next(answers, Fault.BEFORE) if path == "/v1/subscriptions" else None
    await shop.deliver(shop.books.emitted[:1])
    await shop.opened_pull_request()
    await shop.keeper.reviewer.review(shop.world.us.tenant)
    (charge,) = (await shop.call("GET", "billing/charges")).json()["items"]
    assert (charge["plan"], charge["quantity"], charge["billable"]) == ("per_pull_request", 1, 0)


@pytest.mark.parametrize("seed", range(6))
async def test_late_doubled_and_reordered_events_come_to_the_same_end(shop: Shop, seed: int) -> None:
    await shop.subscribe()
    subscription = (await shop.account()).subscription or ""
    invoice = close_period(shop.books, subscription, paid=False)
    lost = dispute(shop.books, (await shop.account()).customer or "")
    if seed % 3:
        pay(shop.books, invoice["id"])
    if seed % 2:
        settle(shop.books, lost["id"], "won")
    shop.books.plan("GET", "/v1/subscriptions", Fault.BEFORE)  # and Stripe fails once on the way
    await shop.deliver(disorder(shop.books.emitted, seed, copies=3))
    found = await shop.account()
    if seed % 3:
        assert (found.status, found.grace_until) == (AccountStatus.ACTIVE, None)
    else:
        due = datetime.fromtimestamp(invoice["created"], UTC) + timedelta(days=7)
        assert (found.status, found.grace_until) == (AccountStatus.PAST_DUE, due)
    assert (found.disputed_at is None) == bool(seed % 2)
    assert found.subscription == subscription


async def test_an_event_is_stored_once_and_only_if_stripe_signed_it_just_now_in_our_mode(shop: Shop) -> None:
    event = shop.books.add("event", "evt", type="invoice.paid", data={"object": {"customer": "cus_nobody"}})
    good = sign(event, NEW)
    assert (await shop.post(good.body, good.signature)).json()["status"] == "stored"
    assert (await shop.post(good.body, sign(event, OLD).signature)).json()["status"] == "repeated"
    refused = {
        "no signature": (good.body, None),
        "a forged one": (good.body, sign(event, "whsec_somebody_elses_000").signature),
        "of another body": (good.body + b" ", good.signature),
        "an old one": (good.body, sign(event, NEW, age=400).signature),
        "one of the future": (good.body, sign(event, NEW, age=-400).signature),
        "two times": (good.body, f"t=1,{good.signature}"),
        "no text": (b"\xff\xfe", good.signature),
    }
    for what, (body, signature) in refused.items():
        answer = await shop.post(body, signature)
        assert (what, answer.status_code, answer.json()["code"]) == (what, 401, "bad_signature")
    live = sign({**event, "livemode": True, "id": "evt_live"}, NEW)
    answer = await shop.post(live.body, live.signature)
    assert (answer.status_code, answer.json()["code"]) == (400, "wrong_mode")
    strange = sign({"id": "evt_x"}, NEW)
    assert (await shop.post(strange.body, strange.signature)).json()["code"] == "bad_event"
    assert (await shop.post(b"x" * (1024 * 1024 + 1), good.signature)).status_code == 413
    before = [REGISTRY.get_sample_value(ENDED, {"outcome": outcome}) or 0 for outcome in ("handled", "ignored")]
    assert await shop.keeper.handler.work() == 1
    after = [REGISTRY.get_sample_value(ENDED, {"outcome": outcome}) or 0 for outcome in ("handled", "ignored")]
    assert sum(after) == sum(before) + 1


async def test_whoever_is_past_due_may_work_until_the_grace_is_over_and_again_once_paid(
    world_with: OpenWorld, world_urls: TestUrls
) -> None:
    async with opened(world_with, world_urls, billing_grace_days=0.0) as shop:
        made = await shop.subscribe()
        assert (await shop.make_job()).status_code == 201
        running = await job_recipes.make_job(shop.world, shop.world.us)
        await job_recipes.move(shop.world, shop.world.us, running, JobEvent.ADMITTED)
        patient = replace(shop.keeper.subscriber, grace=timedelta(days=7))
        invoice = close_period(shop.books, made["id"], paid=False)
        await patient.refresh(shop.world.us.tenant)
        await shop.keeper.reviewer.review(shop.world.us.tenant)
        assert (await shop.account()).status is AccountStatus.PAST_DUE
        assert (await shop.make_job()).status_code == 201
        await shop.deliver(shop.books.emitted)  # by now nothing is left of the grace
        refused = await shop.make_job()
        assert (refused.status_code, refused.json()["code"]) == (402, "payment_overdue")
        assert (await shop.call("GET", "billing")).json()["stopped"]["code"] == "payment_overdue"
        stopped = (await shop.call("GET", f"jobs/{running}")).json()
        assert (stopped["state"], stopped["code"]) == ("paused", "payment_overdue")
        resumed = await shop.call("POST", f"jobs/{running}/resume", {})
        assert (resumed.status_code, resumed.json()["code"]) == (402, "payment_overdue")
        await job_recipes.make_job(shop.world, shop.world.us)
        assert await Admission(shop.world.stores.system).take() is None
        pay(shop.books, invoice["id"])
        await shop.deliver(shop.books.emitted)
        assert await Admission(shop.world.stores.system).take() is not None
        assert (await shop.call("GET", f"jobs/{running}")).json()["state"] == JobState.PLANNING
        assert (await shop.make_job()).status_code == 201
        assert [entry["code"] for entry in await shop.told("billing.stopped")] == ["payment_overdue"]
        assert len(await shop.told("billing.released")) == 1


async def test_each_warning_of_a_cap_is_given_once_and_the_hard_one_stops_work(shop: Shop) -> None:
    await shop.subscribe()
    async with shop.world.stores.database.write(shop.world.us.tenant) as session:
        await _end_trial(session, shop)
    tag = (await shop.call("GET", "billing/caps")).headers["ETag"]
    caps = {"soft_micro_usd": 10_000_000, "hard_micro_usd": 20_000_000}
    assert (await shop.call("PUT", "billing/caps", caps, **{"If-Match": '"0"'})).status_code == 412
    assert (await shop.call("PUT", "billing/caps", caps, **{"If-Match": tag})).status_code == 200
    for opened_so_far in range(1, 5):
        await shop.opened_pull_request()
        for _ in range(2):
            await shop.keeper.reviewer.review(shop.world.us.tenant)
        spent = (await shop.call("GET", "billing")).json()["month"]["spent_micro_usd"]
        assert spent == opened_so_far * 5_000_000
    warned = [(entry["target"], entry["percent"]) for entry in await shop.told("billing.cap_warned")]
    assert sorted(warned) == sorted([(cap, level) for cap in ("soft", "hard") for level in (50, 80, 100)])
    refused = await shop.make_job()
    assert (refused.status_code, refused.json()["code"]) == (402, "spending_cap")
    tag = (await shop.call("GET", "billing/caps")).headers["ETag"]
    raised = {"soft_micro_usd": None, "hard_micro_usd": 25_000_000}
    assert (await shop.call("PUT", "billing/caps", raised, **{"If-Match": tag})).status_code == 200
    await shop.keeper.reviewer.review(shop.world.us.tenant)
    assert (await shop.make_job()).status_code == 201
    refused = await shop.make_job()  # the one under way may still use up what is left
    assert (refused.status_code, refused.json()["code"]) == (402, "spending_cap")


async def _end_trial(session: WriteSession, shop: Shop) -> None:
    await session.execute(
        update(BillingAccount)
        .where(BillingAccount.org_id == shop.world.us.tenant.org_id)
        .values(trial_end=datetime.now(UTC) - timedelta(seconds=1))
    )


async def test_the_free_plan_has_so_many_pull_requests_a_month_those_under_way_too(shop: Shop) -> None:
    await shop.keeper.reviewer.review_all()
    for _ in range(2):
        await shop.opened_pull_request()
    made = [await shop.make_job() for _ in range(4)]
    assert [answer.status_code for answer in made] == [201, 201, 201, 402]
    assert made[-1].json()["code"] == "plan_limit"
    assert "5 pull requests a month" in made[-1].json()["detail"]
    ended = await shop.call("POST", f"jobs/{made[0].json()['id']}/cancel", {})
    assert ended.status_code == 200
    assert (await shop.make_job()).status_code == 201


async def test_a_job_costs_what_its_own_charges_come_to_and_its_month_what_all_do(shop: Shop) -> None:
    tenant, writer = shop.world.us.tenant, LedgerWriter(shop.urls, shop.world.us.tenant)
    ours, other = [await job_recipes.make_job(shop.world, shop.world.us) for _ in range(2)]
    await job_recipes.store_results(shop.world, shop.world.us, ours)
    now = datetime.now(UTC)
    assert await shop.keeper.charger.open_account(tenant, "per_token", now)
    writer.set_account("cus_one", now - timedelta(minutes=1), credit_pico_usd=10_000_000)
    writer.entries(ours, 3, now)
    writer.entries(other, 3, now + timedelta(seconds=1))
    await shop.keeper.charger.charge(tenant, now + timedelta(minutes=1))
    # In micro-USD: 306 at 3.6, 3000 cached at 0.36, 42 written at 4.5, 9 of output at 18. Credit paid 2 and 7 of them.
    whole, by_credit = 306 * 3.6 + 3000 * 0.36 + 42 * 4.5 + 9 * 18, 2 * 3.6 + 7 * 0.36
    cost = (await shop.call("GET", f"jobs/{ours}/cost")).json()
    assert (cost["micro_usd"], cost["credit_micro_usd"]) == (ceil(whole - by_credit), ceil(by_credit))
    assert [(one["meter"], one["quantity"], one["billable"], one["micro_usd"]) for one in cost["meters"]] == [
        ("aicd_medium_cache_write_tokens", 42, 42, 189),
        ("aicd_medium_cached_input_tokens", 3000, 2993, 1078),
        ("aicd_medium_input_tokens", 306, 304, 1095),
        ("aicd_medium_output_tokens", 9, 9, 162),
    ]
    assert (await shop.call("GET", f"jobs/{other}/cost")).json()["micro_usd"] == ceil(whole)
    plan = (await shop.call("GET", f"jobs/{ours}/plan")).json()
    assert plan["price"] == {"micro_usd": 0, "is_estimate": True, "charged_micro_usd": ceil(whole - by_credit)}
    month = (await shop.call("GET", "billing")).json()["month"]
    spent, end = ceil(2 * whole - by_credit), datetime.fromisoformat(month["ends"])
    days = max(1.0, min(7.0, (now - datetime.fromisoformat(month["begins"])) / timedelta(days=1)))
    assert month["spent_micro_usd"] == spent
    assert month["forecast_micro_usd"] == pytest.approx(spent * (1 + (end - now) / timedelta(days=days)), rel=0.01)


@pytest.mark.parametrize("fault", [[], [Fault.AFTER]], ids=["we know it sent", "we do not"])
async def test_a_report_of_events_that_stripe_rejected_later_is_read_and_told(shop: Shop, fault: list[Fault]) -> None:
    await shop.subscribe()
    database, tenant = shop.world.stores.database, shop.world.us.tenant
    async with database.write(tenant) as session:
        await _end_trial(session, shop)
    await shop.opened_pull_request()
    await shop.keeper.charger.charge(tenant, datetime.now(UTC))
    assert await shop.keeper.charger.bundle_charges(tenant) == 1
    shop.books.plan("POST", "/v1/billing/meter_events", *fault)
    await Sender(shop.world.stores.system, shop.keeper.api, 900, timedelta(seconds=60)).send_due()
    (sent,) = shop.books.meter_events
    async with shop.world.stores.system.write() as session:
        assert await reject(session, BillingMode.LIVE, [sent.identifier], "rejected_later", "of the other mode") == []
    report = error_report(shop.books, shop.books.all("billing.meter")[0]["id"], sent.identifier)
    assert "data" not in report  # what is wrong has to be asked for
    await shop.deliver([report, report])
    async with database.read(tenant) as session:
        (dead,) = await list_exports(session, tenant, ExportState.DEAD)
    assert (dead.code, dead.quantity) == ("rejected_later", 1)
    assert [entry["events"] for entry in await shop.told("billing.rejected")] == [1]


async def test_whoever_keeps_the_books_sees_money_and_no_code(shop: Shop) -> None:
    await shop.subscribe()
    mine = await shop.world.as_role(Role.BILLING)
    job_id = await job_recipes.job(shop.world, shop.world.us)
    base = "/v1/organizations/acme"
    for path in ("billing", "billing/plans", "billing/charges", "billing/invoices", "billing/caps", "usage"):
        assert (await shop.world.client.get(f"{base}/{path}", headers=mine)).status_code == 200
    for path in ("", "/plan", "/diff", "/patch", "/cost", "/usage", "/reviews", "/tests", "/events"):
        answer = await shop.world.client.get(f"{base}/jobs/{job_id}{path}", headers=mine)
        assert (path, answer.status_code) == (path, 403)


async def test_a_customer_of_the_other_mode_is_nobody(shop: Shop) -> None:
    await shop.subscribe()
    customer = (await shop.account()).customer or ""
    async with shop.world.stores.system.read() as session:
        assert await find_customer(session, BillingMode.TEST, customer) == shop.world.us.tenant
        assert await find_customer(session, BillingMode.LIVE, customer) is None
