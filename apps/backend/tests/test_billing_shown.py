"""What billing shows before and after, in the console; and a plan that is paid by seats."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from aicd_backend.testing import job_recipes
from aicd_backend.testing.ledgers import LedgerWriter
from aicd_backend.testing.shop import CHECKOUT, Shop, open_shop
from aicd_backend.testing.stripe.customers import close_period, complete_checkout
from aicd_backend.testing.world import OpenWorld
from aicd_cli.prices import price_of
from aicd_cli.runtime import Store
from aicd_cli.stories import print_story
from aicd_core.jobs.machine import JobEvent
from aicd_core.orchestrator import read_report
from aicd_core.tenancy.permissions import Role
from aicd_core.testing.databases import TestUrls

SHIPPED = files("aicd_backend.billing").joinpath("plans.toml").read_text()


async def page(shop: Shop, path: str) -> str:
    cookie = (await shop.world.as_role(Role.OWNER))["Cookie"]
    answer = await shop.world.client.get(f"/console/acme/{path}", headers={"Cookie": cookie, "Accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_whoever_approves_a_plan_sees_its_price_and_afterwards_what_was_charged(shop: Shop) -> None:
    await shop.subscribe()
    shop.end_trial()
    job = await job_recipes.make_job(shop.world, shop.world.us)
    await job_recipes.store_results(shop.world, shop.world.us, job)
    await job_recipes.move(shop.world, shop.world.us, job, JobEvent.APPROVAL_ASKED)
    assert "It will cost $5.00." in await page(shop, f"jobs/{job}")
    assert '<dd id="charged">$0.00' in await page(shop, f"jobs/{job}/usage")
    writer = LedgerWriter(shop.urls, shop.world.us.tenant)
    writer.event(job, 99, "published", "pr_open", datetime.now(UTC))
    await shop.keeper.charger.charge(shop.world.us.tenant, datetime.now(UTC) + timedelta(seconds=1))
    assert '<dd id="charged">$5.00' in await page(shop, f"jobs/{job}/usage")
    assert "It will cost $0.00." in await page(shop, f"jobs/{job}")


async def test_the_command_line_tells_the_price_of_a_plan_that_waits(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await shop.subscribe()
    shop.end_trial()
    stores, tenant = shop.world.stores, shop.world.us.tenant
    job = await job_recipes.make_job(shop.world, shop.world.us)
    await job_recipes.store_results(shop.world, shop.world.us, job)
    store, before = Store(stores.database, stores.system, tenant), await read_report(stores.database, tenant, job)
    await job_recipes.move(shop.world, shop.world.us, job, JobEvent.APPROVAL_ASKED)
    report = await read_report(stores.database, tenant, job)
    assert await price_of(None, store, report) is None  # billing is off
    monkeypatch.setenv("AICD_STRIPE_KEY", "sk_test_stand_in")
    assert await price_of(None, store, before) is None  # it does not wait
    print_story(report, await price_of(None, store, report))
    assert "\n  Approving it will cost $5.00.\n" in capsys.readouterr().out
    await shop.keeper.charger.change_plan(tenant, "per_token", datetime.now(UTC))
    limit = report.usage.cost_micro_usd + 2_000_000
    price = await price_of(None, store, replace(report, job=replace(report.job, cost_limit=limit)))
    assert price is not None
    assert report.plan is not None
    about = f"${report.plan.estimate.usd * 1.2:.2f}"
    assert price.sentence() == f"Approving it will cost about {about}, and by the job's limit $2.40 at most."


async def test_a_plan_with_seats_is_subscribed_to_for_so_many_and_they_are_on_each_invoice(
    world_with: OpenWorld, database_urls: TestUrls, tmp_path: Path
) -> None:
    plans = tmp_path / "plans.toml"
    plans.write_text(SHIPPED.replace("trial_days = 14\n", "seat_micro_usd = 10_000_000\n"))
    async with open_shop(world_with, database_urls, billing_plans=plans) as shop:
        answer = await shop.call("POST", "billing/checkout", {**CHECKOUT, "seats": 3})
        assert answer.status_code == 200, answer.text
        made = complete_checkout(shop.books, answer.json()["url"].rpartition("/")[2])
        await shop.deliver(shop.books.emitted)
        assert (await shop.account()).plan == "per_pull_request"
        assert close_period(shop.books, made["id"])["amount_due"] == 3 * 10_00
