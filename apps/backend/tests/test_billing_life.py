"""From checkout to a paid month, and from a failed payment back: the server, with Stripe's stand-in over loopback."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil

import pytest

from aicd_backend.billing.accounts.repository import find_customer
from aicd_backend.billing.correcting import Corrector
from aicd_backend.billing.exports.repository import list_exports, reject
from aicd_backend.billing.sending import Sender
from aicd_backend.billing.stripe_faults import Refused
from aicd_backend.testing import job_recipes
from aicd_backend.testing.ledgers import LedgerWriter
from aicd_backend.testing.shop import CHECKOUT, HOME, NEW, OLD, Shop, open_shop
from aicd_backend.testing.stripe.books import Fault
from aicd_backend.testing.stripe.customers import close_period, complete_checkout, delete_customer, dispute, pay, settle
from aicd_backend.testing.stripe.webhooks import disorder, error_report, sign
from aicd_backend.testing.world import FRONT_END, SYSTEM, OpenWorld
from aicd_core.db.sessions import ReadSession
from aicd_core.errors import ConflictError, InvalidInputError
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.machine import JobEvent, JobState
from aicd_core.jobs.repository import find_rival
from aicd_core.orchestrator.admission import Admission
from aicd_core.telemetry.metrics import REGISTRY
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.permissions import Role
from aicd_core.testing.databases import TestUrls
from aicd_core.usage.billing.models import AccountStatus, BillingMode, ExportState

ENDED = "aicd_billing_events_total"


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
    world_with: OpenWorld, world_urls: TestUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_shop(world_with, world_urls, billing_grace_days=0.0) as shop:
        made = await shop.subscribe()
        assert (await shop.make_job()).status_code == 201
        running, answering = [await job_recipes.make_job(shop.world, shop.world.us) for _ in range(2)]
        await job_recipes.move(shop.world, shop.world.us, running, JobEvent.ADMITTED)
        to_feedback = (JobEvent.ADMITTED, JobEvent.PLAN_READY, JobEvent.CODED, JobEvent.PUBLISHED, JobEvent.FEEDBACK)
        await job_recipes.move(shop.world, shop.world.us, answering, *to_feedback)
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
        states = {of: (await shop.call("GET", f"jobs/{of}")).json() for of in (running, answering)}
        assert {of: (job["state"], job["code"], job["paused_from"]) for of, job in states.items()} == {
            running: ("cancelled", "payment_overdue", "planning"),
            answering: ("paused", "payment_overdue", "coding"),  # its pull request is there, and stays followed
        }
        for way in ("resume", "retry"):
            refused = await shop.call("POST", f"jobs/{running}/{way}", {} if way == "resume" else None)
            assert (refused.status_code, refused.json()["code"]) == (402, "payment_overdue")
        await job_recipes.make_job(shop.world, shop.world.us)
        assert await Admission(shop.world.stores.system).take() is None
        pay(shop.books, invoice["id"])
        await shop.deliver(shop.books.emitted)
        assert await Admission(shop.world.stores.system).take() is not None
        assert (await shop.call("GET", f"jobs/{running}")).json()["state"] == JobState.CANCELLED
        assert (await shop.call("GET", f"jobs/{answering}")).json()["state"] == JobState.CODING
        begun: list[str] = []

        async def late(session: ReadSession, tenant: Tenant, job_id: JobId) -> JobId | None:
            """Looks for another job of the issue; right after that one is made."""
            found = await find_rival(session, tenant, job_id)
            begun.append((await shop.call("POST", f"jobs/{running}/retry")).json()["id"])
            return found

        with monkeypatch.context() as racing:
            racing.setattr(jobs, "find_rival", late)
            raced = await shop.call("POST", f"jobs/{running}/resume", {})
        assert (raced.status_code, raced.json()["code"]) == (409, "job_open")
        (anew,) = begun
        assert (await shop.call("POST", f"jobs/{running}/resume", {})).json()["code"] == "job_open"
        assert (await shop.call("POST", f"jobs/{anew}/cancel", {})).status_code == 200
        assert (await shop.call("POST", f"jobs/{running}/resume", {})).json()["state"] == JobState.PLANNING
        assert (await shop.call("POST", f"jobs/{running}/resume", {})).status_code == 409
        assert (await shop.make_job()).status_code == 201
        assert [entry["code"] for entry in await shop.told("billing.stopped")] == ["payment_overdue"]
        assert len(await shop.told("billing.released")) == 1


async def test_a_lost_dispute_pauses_jobs_until_the_operator_releases_it_and_the_next_one_stops_again(
    shop: Shop,
) -> None:
    await shop.subscribe()
    tenant, customer = shop.world.us.tenant, (await shop.account()).customer or ""
    corrector = Corrector(shop.world.stores.database, SYSTEM)
    with pytest.raises(ConflictError, match="nothing to do"):
        await corrector.release_disputes(tenant, "too early")
    running = await job_recipes.make_job(shop.world, shop.world.us)
    await job_recipes.move(shop.world, shop.world.us, running, JobEvent.ADMITTED)
    settle(shop.books, dispute(shop.books, customer)["id"], "lost")
    await shop.deliver(shop.books.emitted)
    assert (await shop.make_job()).json()["code"] == "payment_disputed"
    assert (await shop.call("GET", f"jobs/{running}")).json()["state"] == JobState.PAUSED
    with pytest.raises(InvalidInputError, match="The reason"):
        await corrector.release_disputes(tenant, "")
    await corrector.release_disputes(tenant, "settled by bank transfer")
    await shop.keeper.subscriber.refresh(tenant)  # Stripe still says that it is lost
    await shop.keeper.reviewer.review(tenant)
    assert (await shop.call("GET", f"jobs/{running}")).json()["state"] == JobState.PLANNING
    assert (await shop.make_job()).status_code == 201
    shop.books.skew = 5
    dispute(shop.books, customer)
    await shop.deliver(shop.books.emitted[-1:])
    assert (await shop.make_job()).json()["code"] == "payment_disputed"
    assert [entry["reason"] for entry in await shop.told("billing.disputes_released")] == ["settled by bank transfer"]


async def test_a_customer_deleted_at_stripe_is_on_the_default_plan_and_becomes_another_one(shop: Shop) -> None:
    made = await shop.subscribe()
    delete_customer(shop.books, made["customer"])
    await shop.deliver(shop.books.emitted[-1:])
    told = (await shop.call("GET", "billing")).json()
    assert (told["plan"]["name"], told["status"], (await shop.account()).subscription) == ("free", "active", None)
    assert (await shop.call("POST", "billing/portal", {"return_url": HOME})).json()["code"] == "no_customer"
    again = await shop.subscribe()
    assert (await shop.account()).customer == again["customer"] != made["customer"]
    with pytest.raises(Refused, match="No such customer"):  # of another account: nobody loses a plan by that
        await shop.keeper.api.is_deleted("cus_of_another_account")


async def test_an_account_made_while_billing_was_off_is_of_no_mode_and_a_plans_credit_is_given_once(shop: Shop) -> None:
    off = replace(shop.keeper.charger, mode=BillingMode.LIVE)
    assert await off.open_account(shop.world.us.tenant, "per_token", datetime.now(UTC))
    credit = (await shop.account()).credit_pico_usd
    answer = await shop.call("POST", "billing/checkout", {**CHECKOUT, "plan": "per_token"})
    assert answer.status_code == 200, answer.text
    complete_checkout(shop.books, answer.json()["url"].rpartition("/")[2])
    await shop.deliver(shop.books.emitted)
    found = await shop.account()
    assert found.subscription is not None
    assert (found.mode, found.plan, found.credit_pico_usd) == (BillingMode.TEST, "per_token", credit)
    assert credit > 0


async def test_a_server_whose_clock_is_ahead_passes_over_nothing(shop: Shop) -> None:
    await shop.subscribe()
    for expected in (0, 1):
        ahead = datetime.now(UTC) + timedelta(days=1)
        assert await shop.keeper.charger.charge(shop.world.us.tenant, ahead) == expected
        if not expected:
            await shop.opened_pull_request()


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
    shop.end_trial()
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
