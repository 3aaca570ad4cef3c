"""What billing shows before and after, in the console; and a plan that is paid by seats."""

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

from aicd_backend.testing import job_recipes
from aicd_backend.testing.ledgers import LedgerWriter
from aicd_backend.testing.shop import CHECKOUT, Shop, open_shop
from aicd_backend.testing.stripe.customers import close_period, complete_checkout
from aicd_backend.testing.world import OpenWorld
from aicd_core.jobs.machine import JobEvent
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
