"""From ledger to Stripe's meters: what is charged, sent, refused, compared and corrected."""

import asyncio
import json
import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aicd_backend.billing.charges import repository as charges
from aicd_backend.billing.correcting import Corrector
from aicd_backend.billing.figures import PROBE
from aicd_backend.billing.plans import PULL_REQUESTS, PullRequestTerms
from aicd_backend.testing.desk import NOON, PLANS, Desk
from aicd_backend.testing.stripe.books import Fault
from aicd_core.db.pages import PageRequest
from aicd_core.errors import ConflictError, InvalidInputError, NotFoundError
from aicd_core.telemetry.metrics import REGISTRY
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.repository import list_entries
from aicd_core.tenancy.audit.values import Actor, AuditFilter
from aicd_core.usage.billing.models import BillingMode, ExportState

AICD = Path(__file__).parents[3] / ".venv" / "bin" / "aicd"
EVENTS = "/v1/billing/meter_events"
OPERATOR = Actor(ActorKind.SYSTEM, "test")
EDGE = NOON.replace(day=1, hour=0)
TWO_INCLUDED = PullRequestTerms(included=2, price_micro_usd=5_000_000)
CREDIT = 5 * 10**10  # 5 cents
INPUT = "aicd_medium_input_tokens"


async def test_each_thing_is_charged_once_and_told_in_few_events_under_names_that_follow_from_it(desk: Desk) -> None:
    await desk.plan("per_token", NOON - timedelta(hours=5), CREDIT)
    job = desk.ledger.job()
    desk.ledger.entries(job, 100, NOON, ("gpt-6-mini", "claude-opus-4-6", ""))
    for _ in range(3):
        await desk.charge()
    async with desk.exporter.database.read(desk.tenant) as session:
        sums = await charges.sum_by_meter(session, desk.tenant, NOON - timedelta(days=1), desk.now())
    whole = sum(quantity for meter, (quantity, _) in sums.items() if meter.endswith("_output_tokens"))
    assert whole == desk.ledger.counts()[3]
    pending = await desk.listed(ExportState.PENDING)
    assert 8 <= len(pending) <= 12
    assert await desk.send() == len(pending) == len(desk.books.meter_events)
    assert {event.meter: desk.books.total(event.meter) for event in desk.books.meter_events} == {
        meter: billable for meter, (_, billable) in sums.items() if billable
    }
    # The credit came first: some of what was used is not to be paid.
    assert sum(quantity - billable for quantity, billable in sums.values()) > 0
    assert (await desk.account()).credit_pico_usd < 30 * 10**6  # less than the dearest token


async def test_whatever_fails_on_the_way_every_pull_request_is_counted_once(desk: Desk) -> None:
    await desk.plan("per_pull_request", NOON - timedelta(days=20))
    desk.pull_requests(12, NOON)
    for state in ("failed", "cancelled"):
        desk.ledger.event(desk.ledger.job(state), 0, state, state, NOON)
    await desk.charge()
    assert len(await desk.listed(ExportState.PENDING)) == 12  # each its own event, whatever the rounds
    faults = [Fault.BEFORE, Fault.AFTER, Fault.LOST, Fault.LIMITED, Fault.LIMITED_BARE, Fault.AFTER]
    desk.books.plan("POST", EVENTS, *faults)
    for _ in range(20):
        await desk.send()
        desk.ahead += timedelta(minutes=15)
    assert desk.books.total(PULL_REQUESTS, desk.customer) == 12
    assert len(await desk.listed(ExportState.SENT)) == 12
    told = [exchange for exchange in desk.books.exchanges if exchange.path == EVENTS]
    assert sum(exchange.status == 400 for exchange in told) >= 2  # those that had taken effect: duplicates


async def test_a_limit_is_waited_for_as_long_as_stripe_asks(desk: Desk) -> None:
    await desk.plan("per_pull_request", NOON - timedelta(days=15))  # its trial of 14 days is over
    desk.pull_requests(2, NOON)
    await desk.charge()
    desk.books.retry_after = 300
    desk.books.plan("POST", EVENTS, Fault.LIMITED)
    asked = len(desk.books.exchanges)
    assert await desk.send() == 0
    told = await desk.told()
    assert (told["aicd_billing_exports_waiting"], told["aicd_billing_exports_dead"]) == (2, 0)
    assert told["aicd_billing_exports_oldest_seconds"] > 0
    assert len(desk.books.exchanges) == asked + 1  # the other one is not even tried
    desk.ahead = timedelta(seconds=290)
    assert await desk.send() == 1
    assert len(desk.books.exchanges) == asked + 2
    desk.ahead = timedelta(seconds=310)
    assert await desk.send() == 1


async def test_what_stripe_will_not_take_is_dead_with_a_reason_until_it_is_sent_again(desk: Desk) -> None:
    await desk.plan("per_pull_request", NOON - timedelta(days=60))
    desk.pull_requests(1, NOON)
    desk.pull_requests(1, NOON - timedelta(days=40))
    await desk.charge()
    (meter,) = (one for one in desk.books.all("billing.meter") if one["event_name"] == PULL_REQUESTS)
    meter["status"] = "inactive"
    asked = len(desk.books.exchanges)
    assert await desk.send() == 0
    refused, old = sorted(await desk.listed(ExportState.DEAD), key=lambda one: one.code == "too_old")
    assert "No active meter found" in (refused.reason or "")
    assert (old.code, len(desk.books.exchanges)) == ("too_old", asked + 1)
    meter["status"] = "active"
    corrector = Corrector(desk.exporter.database, OPERATOR)
    assert await corrector.resend(desk.tenant, refused.id, desk.now()) == 1
    assert await desk.send() == 1
    with pytest.raises(NotFoundError):
        await corrector.resend(desk.tenant, refused.id, desk.now())
    assert [one.code for one in await desk.listed(ExportState.DEAD)] == ["too_old"]
    nothing = dict.fromkeys((figure.name for figure in PROBE.figures), 0)
    assert await desk.told() == {**nothing, "aicd_billing_exports_dead": 1}


async def test_what_may_have_been_counted_longer_ago_than_stripe_remembers_is_not_sent_blindly(desk: Desk) -> None:
    await desk.plan("per_pull_request", NOON - timedelta(days=20))
    desk.pull_requests(2, NOON)
    await desk.charge()
    desk.books.plan("POST", EVENTS, Fault.LOST)
    await desk.send()
    assert desk.books.total(PULL_REQUESTS) == 1
    desk.ahead = timedelta(hours=24)
    desk.books.known.clear()  # as Stripe may have forgotten by then
    assert await desk.send() == 1
    (dead,) = await desk.listed(ExportState.DEAD)
    assert dead.code == "uncertain"
    assert desk.books.total(PULL_REQUESTS) == 2


async def test_an_event_of_a_clock_that_is_ahead_waits_until_stripe_takes_it(desk: Desk) -> None:
    await desk.plan("per_pull_request", NOON - timedelta(days=20))
    at = datetime.now(UTC) + timedelta(minutes=20)
    desk.pull_requests(1, at)
    desk.ahead = timedelta(minutes=40)
    await desk.charge()
    desk.ahead = timedelta(0)
    assert await desk.send() == 0
    assert desk.books.writes()[-1].path != EVENTS
    desk.ahead = timedelta(minutes=18)
    desk.books.skew = 18 * 60
    assert await desk.send() == 1


async def test_two_exporters_share_the_work_and_never_meet_at_one_customer_and_meter(desk: Desk) -> None:
    await desk.plan("per_token", NOON - timedelta(hours=5))
    for number in range(4):
        desk.ledger.entries(desk.ledger.job(), 100, NOON + timedelta(minutes=number), gap="10 s")
    await desk.charge()
    pending = len(await desk.listed(ExportState.PENDING))
    other = replace(desk.exporter.sender, owner="another")
    sent = await asyncio.gather(desk.send(), other.send_due())
    assert sum(sent) == pending == len(desk.books.meter_events)
    assert {exchange.status for exchange in desk.books.exchanges if exchange.path == EVENTS} == {200}


async def test_the_exporter_outlives_what_nobody_foresaw(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.plan("per_pull_request", NOON - timedelta(days=20))
    desk.pull_requests(1, NOON)
    work, passes = desk.exporter.work_once, 0

    async def surprised() -> int:
        nonlocal passes
        passes += 1
        if passes == 1:
            raise RuntimeError("nobody foresaw this")
        sent = await work()
        desk.exporter.stop()
        return sent

    monkeypatch.setattr(desk.exporter, "work_once", surprised)
    desk.exporter.interval = 0.01
    await desk.exporter.run()
    assert (passes, desk.books.total(PULL_REQUESTS)) == (2, 1)


async def test_pull_requests_at_the_edge_of_a_month_use_up_what_is_part_of_their_own(desk: Desk) -> None:
    await desk.plan("free", EDGE - timedelta(days=1))
    priced = PLANS.of("per_pull_request").model_copy(update={"pull_requests": TWO_INCLUDED, "trial_days": 0})
    plans = PLANS.model_copy(update={"plans": {**PLANS.plans, "free": priced}})
    charger = replace(desk.exporter.charger, plans=plans)
    moment = timedelta(microseconds=1)
    desk.pull_requests(1, EDGE - timedelta(hours=2))
    await charger.charge(desk.tenant, EDGE - timedelta(hours=1))
    desk.pull_requests(2, EDGE - moment)
    desk.pull_requests(1, EDGE)
    await charger.charge(desk.tenant, EDGE + moment)  # some of both months in one look
    desk.pull_requests(2, EDGE + timedelta(hours=1))
    for hours in (2, 2, 3):
        await charger.charge(desk.tenant, EDGE + timedelta(hours=hours))
    async with desk.exporter.database.read(desk.tenant) as session:
        before = await charges.sum_by_meter(session, desk.tenant, EDGE - timedelta(days=1), EDGE)
        after = await charges.sum_by_meter(session, desk.tenant, EDGE, EDGE + timedelta(days=1))
    assert (before, after) == ({PULL_REQUESTS: (3, 1)}, {PULL_REQUESTS: (3, 1)})


async def test_what_is_committed_late_behind_the_last_look_is_charged_once(desk: Desk) -> None:
    await desk.plan("per_token", NOON - timedelta(hours=5))
    await desk.exporter.charger.charge(desk.tenant, NOON)
    desk.ledger.entries(desk.ledger.job(), 3, NOON - timedelta(minutes=50))
    for minutes in (1, 2, 5):
        await desk.exporter.charger.charge(desk.tenant, NOON + timedelta(minutes=minutes))
    async with desk.exporter.database.read(desk.tenant) as session:
        sums = await charges.sum_by_meter(session, desk.tenant, NOON - timedelta(days=1), desk.now())
    assert sums[INPUT][0] == desk.ledger.counts()[0] == 306


async def test_the_books_are_compared_and_a_difference_raises_the_alarm(desk: Desk) -> None:
    await desk.plan("per_token", NOON - timedelta(days=3))
    desk.ledger.entries(desk.ledger.job(), 60, NOON, ("", "claude-opus-4-6"))
    assert await desk.exporter.work_once() > 0
    found = await desk.exporter.reconcile(NOON.date())
    assert found
    assert not any(one.differs for _, one in found)
    assert all(one.provider == one.sent == one.billable for _, one in found)
    lost = desk.books.meter_events.pop()
    found = await desk.exporter.reconcile(NOON.date())
    (wrong,) = (one for _, one in found if one.differs)
    assert (wrong.meter, wrong.sent - (wrong.provider or 0)) == (lost.meter, lost.value)
    await desk.exporter.tell_books(NOON.date())
    assert REGISTRY.get_sample_value("aicd_billing_books_differing") == 1
    async with desk.exporter.database.read(desk.tenant) as session:
        page = await list_entries(session, desk.tenant, PageRequest(), AuditFilter(actions=("billing.books_differ",)))
    assert [entry.target_id for entry in page.items] == [lost.meter]
    # What came in late, behind the last look, is found by the comparison and charged.
    desk.ledger.entries(desk.ledger.job(), 5, NOON - timedelta(hours=4))
    await desk.exporter.work_once()
    late = {one.meter: one for _, one in await desk.exporter.reconcile(NOON.date())}
    assert late[INPUT].ledger == late[INPUT].charged
    assert late[INPUT].ledger + late["aicd_large_input_tokens"].ledger == desk.ledger.counts()[0]
    assert await desk.exporter.work_once() > 0
    assert not any(one.differs for _, one in await desk.exporter.reconcile(NOON.date()) if one.meter != lost.meter)


async def test_corrections_are_a_cancelled_event_or_credit_each_once_and_recorded(desk: Desk) -> None:
    await desk.plan("per_pull_request", NOON - timedelta(days=20))
    desk.pull_requests(2, NOON)
    await desk.exporter.work_once()
    corrector, api = Corrector(desk.exporter.database, OPERATOR), desk.exporter.api
    first, second = await desk.listed(ExportState.SENT)
    await corrector.cancel(api, desk.tenant, first.id, "opened by mistake")
    assert desk.books.total(PULL_REQUESTS) == 1
    assert not any(one.differs and one.provider != one.sent for _, one in await desk.exporter.reconcile(NOON.date()))
    with pytest.raises(ConflictError, match="cancelled before"):
        await corrector.cancel(api, desk.tenant, first.id, "again")
    desk.books.meter_events.clear()
    with pytest.raises(ConflictError, match="Give credit instead"):
        await corrector.cancel(api, desk.tenant, second.id, "Stripe does not know it")
    await corrector.give_credit(desk.tenant, "ticket-1", 5 * 10**12, "an outage")
    with pytest.raises(ConflictError, match="given before"):
        await corrector.give_credit(desk.tenant, "ticket-1", 5 * 10**12, "an outage")
    for subject, amount, reason, code in (
        ("ticket-2", 5 * 10**12, "", "bad_length"),
        ("", 5 * 10**12, "an outage", "bad_length"),
        ("welcome", 5 * 10**12, "an outage", "reserved_subject"),  # the plan's own would not come any more
        ("ticket-2", 8 * 10**18, "an outage", "too_much_credit"),
    ):
        with pytest.raises(InvalidInputError) as refused:
            await corrector.give_credit(desk.tenant, subject, amount, reason)
        assert refused.value.code == code
    desk.pull_requests(2, datetime.now(UTC) - timedelta(minutes=10))
    await desk.charge()
    assert len(await desk.listed(ExportState.PENDING)) == 1  # one of both was paid by the credit
    assert (await desk.account()).credit_pico_usd == 0
    async with desk.exporter.database.read(desk.tenant) as session:
        acts = AuditFilter(actions=("billing.cancelled", "billing.cancel_refused", "billing.credited"))
        page = await list_entries(session, desk.tenant, PageRequest(), acts)
    assert sorted(entry.action for entry in page.items) == [*sorted(acts.actions)]


async def test_a_change_of_plan_charges_what_was_before_it_by_the_old_one(desk: Desk) -> None:
    await desk.plan("per_pull_request", NOON - timedelta(days=20))
    desk.pull_requests(1, NOON)
    desk.ledger.entries(desk.ledger.job(), 3, NOON)
    await desk.exporter.charger.change_plan(desk.tenant, "per_token", NOON + timedelta(hours=1))
    desk.pull_requests(1, NOON + timedelta(hours=2))
    desk.ledger.entries(desk.ledger.job(), 2, NOON + timedelta(hours=2))
    await desk.charge()
    async with desk.exporter.database.read(desk.tenant) as session:
        sums = await charges.sum_by_meter(session, desk.tenant, NOON - timedelta(days=1), desk.now())
    assert sums[PULL_REQUESTS] == (1, 1)
    assert sums["aicd_medium_output_tokens"][0] == 2 + 3  # of two entries: 1 + number % 50


async def test_a_database_of_the_other_mode_is_refused_before_anything_is_sent(desk: Desk) -> None:
    await desk.exporter.require_one_mode()
    live = replace(desk.exporter.charger, mode=BillingMode.LIVE)
    await live.open_account(desk.tenant, "per_pull_request", NOON)
    desk.ledger.set_account("cus_live", NOON)
    with pytest.raises(InvalidInputError, match="customers of Stripe's live mode"):
        await desk.exporter.require_one_mode()


async def test_the_operators_commands(desk: Desk, tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AICD_DATA_DIR": str(tmp_path / "data"),
        "AICD_DATABASE_URL": desk.urls.app,
        "AICD_SYSTEM_DATABASE_URL": desk.urls.system,
        "AICD_STRIPE_KEY": desk.books.key,
        "AICD_STRIPE_URL": desk.url,
    }

    async def aicd(*arguments: str, **more: str) -> tuple[int, str]:
        command = [AICD, "billing", *arguments]
        done = await asyncio.to_thread(
            subprocess.run, command, env={**environment, **more}, capture_output=True, text=True, timeout=90
        )
        return done.returncode, done.stdout + done.stderr

    assert await aicd("sync") == (0, "all was right already\n")
    assert (await aicd("plan", "--org", "acme", "per_pull_request"))[0] == 0
    desk.ledger.set_account(desk.customer, NOON - timedelta(days=1))
    desk.pull_requests(1, NOON)
    code, told = await aicd("export", "--once")
    assert (code, told.splitlines()[-1]) == (0, "0 meter event(s) sent")  # on trial
    code, told = await aicd("reconcile", "--day", f"{NOON:%Y-%m-%d}")
    assert (code, "same    " in told) == (0, True), told
    assert await aicd("dead", "--org", "acme") == (0, "none is dead\n")
    code, told = await aicd("reconcile", "--day", f"{NOON:%Y-%m-%d}", "--json")
    compared = json.loads(told)["meters"]
    assert (code, {(each["differs"], each["day"]) for each in compared}) == (0, {(False, f"{NOON:%Y-%m-%d}")})
    assert await aicd("dead", "--org", "acme", "--json") == (0, '{"meter_events": []}\n')
    code, told = await aicd("plans", "--json")
    assert (code, json.loads(told)["default"] in json.loads(told)["plans"]) == (0, True)
    code, told = await aicd("sync", AICD_STRIPE_MODE="live")
    assert (code, "AICD_STRIPE_KEY" in told) == (2, True)
    code, told = await aicd("sync", AICD_STRIPE_KEY="")
    assert code == 2
