"""Organizations that people make, once each, and own from the first moment on."""

import asyncio
import json
from typing import Any

import pytest

from aicd_backend.testing.world import Headers, OpenWorld, World, settings_under_test
from aicd_core.tenancy.organizations.repository import find_by_slug

PATH = "/v1/organizations"
LABS = {"slug": "labs", "name": "Labs"}


async def somebody(world: World) -> Headers:
    return world.as_session(await world.open_session((await world.make_user("ada")).id))


async def make(world: World, headers: Headers, body: Any, key: str | None = None) -> tuple[int, Any, str | None]:
    """Status, what was made or the problem's code, whether the answer is one of before."""
    sent = {**headers, "Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
    # By itself httpx cannot write half of a surrogate pair; JSON can.
    answer = await world.client.post(PATH, headers=sent, content=json.dumps(body))
    told = answer.json()
    return answer.status_code, told.get("code", told.get("id")), answer.headers.get("Idempotency-Replayed")


async def test_whoever_makes_an_organization_owns_it_and_nobody_else_is_in_it(world: World) -> None:
    ada, other = await somebody(world), await somebody(world)
    made = await world.client.post(PATH, headers=ada, json=LABS)
    assert (made.status_code, made.headers["Location"]) == (201, "/v1/organizations/labs")
    assert (made.json()["slug"], made.json()["name"]) == ("labs", "Labs")
    found = await world.client.get(made.headers["Location"], headers=ada)
    assert (found.json(), found.headers["ETag"]) == (made.json(), made.headers["ETag"])
    members = (await world.client.get(f"{PATH}/labs/members", headers=ada)).json()["items"]
    assert [member["role"] for member in members] == ["owner"]
    acts = (await world.client.get(f"{PATH}/labs/audit", headers=ada)).json()["items"]
    assert {act["action"] for act in acts} == {"organization.created", "member.added"}
    assert {act["actor_kind"] for act in acts} == {"user"}
    assert (await world.client.get(made.headers["Location"], headers=other)).status_code == 404
    assert (await make(world, other, LABS))[:2] == (409, "slug_taken")
    key = await world.as_key()
    assert (await make(world, key, {"slug": "labs2", "name": "x"}))[:2] == (403, "person_needed")


async def test_a_request_with_a_key_makes_one_organization_however_often_it_is_sent(world: World) -> None:
    ada, other = await somebody(world), await somebody(world)
    status, org_id, replayed = await make(world, ada, LABS, "one")
    assert (status, replayed) == (201, None)
    assert await make(world, ada, LABS, "one") == (201, org_id, "true")
    assert (await make(world, ada, {**LABS, "slug": "labs2"}, "one"))[:2] == (422, "idempotency_key_reused")
    assert (await make(world, ada, LABS, "two"))[:2] == (409, "slug_taken")
    assert (await make(world, other, LABS, "one"))[:2] == (409, "slug_taken")
    both = await asyncio.gather(*(make(world, ada, {**LABS, "slug": "twice"}, "three") for _ in range(2)))
    made = [told for status, told, _ in both if status == 201]
    assert len(set(made)) == 1
    assert {status for status, _, _ in both} <= {201, 409}
    refused = [told for status, told, _ in both if status == 409]
    assert refused in ([], ["idempotency_in_progress"])


async def test_an_organization_whose_owner_cannot_be_written_down_is_not_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> None:
        raise RuntimeError("the process dies here")

    ada = await somebody(world)
    monkeypatch.setattr("aicd_backend.founding.add_member", die)
    assert (await world.client.post(PATH, headers={**ada, "Idempotency-Key": "k"}, json=LABS)).status_code == 500
    async with world.stores.system.read() as session:
        assert await find_by_slug(session, "labs") is None
    monkeypatch.undo()
    assert (await make(world, ada, LABS, "k"))[0] == 201


@pytest.mark.parametrize(("most", "code"), [(0, (403, "no_founding")), (1, (409, "too_many_organizations"))])
async def test_the_operator_says_how_many_one_person_makes(
    most: int, code: tuple[int, str], world_with: OpenWorld
) -> None:
    """One that was deleted counts: its slug stays taken."""
    async with world_with(settings_under_test().model_copy(update={"organizations_per_person": most})) as world:
        ada = await somebody(world)
        for number in range(most):
            made = await world.client.post(PATH, headers=ada, json={"slug": f"lab-{number}", "name": "Lab"})
            gone = {**ada, "If-Match": made.headers["ETag"]}
            assert (await world.client.delete(f"{PATH}/lab-{number}", headers=gone)).status_code == 200
        assert (await make(world, ada, LABS))[:2] == code


async def test_nobody_makes_more_by_asking_many_times_at_once(world_with: OpenWorld) -> None:
    async with world_with(settings_under_test().model_copy(update={"organizations_per_person": 2})) as world:
        ada = await somebody(world)
        all_at_once = (make(world, ada, {"slug": f"lab-{number}", "name": "Lab"}) for number in range(6))
        assert sorted(status for status, _, _ in await asyncio.gather(*all_at_once)) == [201, 201, 409, 409, 409, 409]


@pytest.mark.parametrize(
    "body",
    [
        {"slug": "Labs", "name": "Labs"},
        {"slug": "-labs", "name": "Labs"},
        {"slug": "labs\n", "name": "Labs"},
        {"slug": "l" * 64, "name": "Labs"},
        {"slug": "labs", "name": " "},
        {"slug": "labs", "name": "a\x00b"},
        {"slug": "labs", "name": "\ud800"},
        {"slug": "labs", "name": "Labs", "id": "1"},
    ],
)
async def test_what_cannot_be_an_organization_is_refused(body: dict[str, str], world: World) -> None:
    assert (await make(world, await somebody(world), body))[0] in {400, 422}
