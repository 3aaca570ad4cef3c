"""Caps, their warnings, and what a plan includes."""

from aicd_backend.testing.shop import Shop
from aicd_core.tenancy.permissions import Role


async def test_each_warning_of_a_cap_is_given_once_and_the_hard_one_stops_work(shop: Shop) -> None:
    await shop.subscribe()
    shop.end_trial()
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
    owner = {**await shop.world.as_role(Role.OWNER), "Accept": "text/html"}
    told = (await shop.world.client.get("/console/acme/billing/notices", headers=owner)).text
    assert "100 % of the soft cap of $10.00" in told
    assert "100 % of the hard cap of $20.00" in told
    assert "spending_cap" in told
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
