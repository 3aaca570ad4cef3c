"""What holds for every route of its kind: requests sent twice, edits of what was read, lists in pages."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from aicd_backend import once
from aicd_backend.callers import TenantCaller
from aicd_backend.testing.world import Headers, World
from aicd_core.tenancy.permissions import Permission, Role

KEYS = "/v1/organizations/acme/api-keys"
SETTINGS = "/v1/organizations/acme/settings"
ORG = "/v1/organizations/acme"
NEW = {"name": "nightly", "scopes": ["jobs:read"]}


async def post(world: World, headers: Headers, name: str = "one", body: Any = None, path: str = KEYS) -> httpx.Response:
    return await world.client.post(path, headers={**headers, "Idempotency-Key": name}, json=body or NEW)


async def keys_of(world: World) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await world.client.get(KEYS, headers=await world.as_role(Role.OWNER))).json()[
        "items"
    ]
    return [item for item in items if item["name"] == "nightly"]


async def let_claims_run_out(world: World) -> None:
    async with world.stores.database.write(world.us.tenant) as session:
        await session.execute(text("UPDATE named_requests SET claimed_until = now() - interval '1 s'"))


async def test_a_request_sent_twice_is_carried_out_once_and_answered_twice(world: World) -> None:
    owner = await world.as_role(Role.OWNER)
    first, second = await post(world, owner), await post(world, owner)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert first.json()["token"].startswith("aicd_key_")
    assert "idempotency-replayed" not in first.headers
    assert (second.headers["idempotency-replayed"], second.headers["content-type"]) == ("true", "application/json")
    assert len(await keys_of(world)) == 1


async def test_without_a_name_every_request_counts(world: World) -> None:
    owner = await world.as_role(Role.OWNER)
    for _ in range(2):
        assert (await world.client.post(KEYS, headers=owner, json=NEW)).status_code == 201
    assert len(await keys_of(world)) == 2


async def test_requests_at_the_same_moment_are_carried_out_once(world: World) -> None:
    owner = await world.as_role(Role.OWNER)
    answers = await asyncio.gather(*(post(world, owner) for _ in range(8)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["token"] for answer in answers if answer.status_code == 201}) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert (answer.json()["code"], answer.headers["retry-after"]) == ("idempotency_in_progress", "1")
    assert len(await keys_of(world)) == 1


async def test_a_name_stands_for_one_request(world: World) -> None:
    owner, key = await world.as_role(Role.OWNER), str((await world.make_key(frozenset({Permission.JOBS_READ}))).key.id)
    await post(world, owner)
    rotation = {"grace_seconds": 1}
    for other in (
        await post(world, owner, body={**NEW, "name": "other"}),
        await post(world, owner, path=f"{KEYS}/{key}/rotate", body=rotation),
    ):
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_everybodys_names_are_his_own(world: World) -> None:
    tokens = [
        (await post(world, headers)).json()["token"]
        for headers in (await world.as_role(Role.OWNER), await world.as_role(Role.ADMIN), await world.as_key())
    ]
    assert len(set(tokens)) == 3
    rival = await post(world, await world.as_key(org=world.rival), path=KEYS.replace("acme", "rival"))
    assert rival.status_code == 201


async def test_an_answer_with_a_secret_is_not_to_be_read_in_the_database(world: World) -> None:
    key = await world.make_key()
    token = (await post(world, {"Authorization": f"Bearer {key.token.reveal()}"})).json()["token"]
    async with world.stores.database.read(world.us.tenant) as session:
        (stored,) = (await session.execute(text("SELECT answer FROM named_requests"))).scalars()
    assert token.encode() not in stored
    assert b"nightly" not in stored


async def test_another_login_of_the_same_person_does_it_not_again_and_reads_no_secret(world: World) -> None:
    await post(world, await world.as_role(Role.OWNER))
    again = await post(world, await world.as_role(Role.OWNER))
    assert (again.status_code, again.json()["code"]) == (409, "idempotency_answer_sealed")
    assert len(await keys_of(world)) == 1


async def test_a_request_that_was_refused_may_be_mended_and_sent_again(world: World) -> None:
    admin = await world.as_role(Role.ADMIN)
    for body, status in (({**NEW, "scopes": ["org:delete"]}, 403), ({"name": ""}, 422), (NEW, 201)):
        assert (await post(world, admin, body=body)).status_code == status


async def test_what_was_done_is_not_done_again_when_the_answer_was_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await world.as_role(Role.OWNER)

    async def die(*_: object) -> bool:
        raise RuntimeError("killed before the answer was stored")

    with monkeypatch.context() as patched:
        patched.setattr(once.service, "finish", die)
        assert (await post(world, owner)).status_code == 500
    assert (await post(world, owner)).json()["code"] == "idempotency_in_progress"
    await let_claims_run_out(world)
    again = await post(world, owner)
    assert (again.status_code, again.json()["code"]) == (409, "idempotency_answer_lost")
    assert len(await keys_of(world)) == 1


async def test_whoever_was_overtaken_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, entered, go_on = await world.as_role(Role.OWNER), asyncio.Event(), asyncio.Event()
    write = TenantCaller.write

    def slow(self: TenantCaller) -> Any:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Any]:
            entered.set()
            await go_on.wait()
            async with write(self) as session:
                yield session

        return opened()

    monkeypatch.setattr(TenantCaller, "write", slow)
    first = asyncio.create_task(post(world, owner))
    await entered.wait()
    await let_claims_run_out(world)
    monkeypatch.setattr(TenantCaller, "write", write)
    second = await post(world, owner)
    go_on.set()
    assert (second.status_code, (await first).status_code) == (201, 409)
    assert len(await keys_of(world)) == 1
    assert (await post(world, owner)).json() == second.json()


async def test_a_name_is_forgotten_in_time(world: World) -> None:
    owner = await world.as_role(Role.OWNER)
    first = (await post(world, owner)).json()["token"]
    async with world.stores.database.write(world.us.tenant) as session:
        await session.execute(text("UPDATE named_requests SET expires_at = now() - interval '1 s'"))
    assert (await post(world, owner)).json()["token"] != first
    await post(world, owner, "another")
    async with world.stores.database.read(world.us.tenant) as session:
        assert (await session.execute(text("SELECT count(*) FROM named_requests"))).scalar_one() == 2


@pytest.mark.parametrize("name", ["", "x" * 256, "ä"])
async def test_a_name_that_cannot_be_one_is_refused(name: str, world: World) -> None:
    headers = {**await world.as_role(Role.OWNER), "Idempotency-Key": name.encode("latin-1")}
    answer = await world.client.post(KEYS, headers=headers, json=NEW)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_idempotency_key")


async def test_an_edit_names_what_it_has_read(world: World) -> None:
    owner = await world.as_role(Role.OWNER)
    read = await world.client.get(ORG, headers=owner)
    tag = {"If-Match": read.headers["etag"]}
    edited = await world.client.patch(ORG, headers={**owner, **tag}, json={"name": "Acme Corporation"})
    assert (edited.status_code, edited.json()["name"]) == (200, "Acme Corporation")
    assert edited.headers["etag"] != read.headers["etag"]
    late = await world.client.patch(ORG, headers={**owner, **tag}, json={"name": "Late"})
    assert (late.status_code, late.json()["code"]) == (412, "stale_revision")
    assert (await world.client.get(ORG, headers=owner)).json() == edited.json()


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({}, 428, "precondition_required"),
        ({"If-Match": "*"}, 428, "precondition_required"),
        ({"If-Match": "1"}, 412, "stale_revision"),
        ({"If-Match": 'W/"1"'}, 412, "stale_revision"),
        ({"If-Match": '"1", "2"'}, 412, "stale_revision"),
        ({"If-Match": '"99999999999999999999"'}, 412, "stale_revision"),
        ({"If-Match": '"2147483648"'}, 412, "stale_revision"),
    ],
)
async def test_a_blind_edit_is_refused(given: dict[str, str], status: int, code: str, world: World) -> None:
    owner = await world.as_role(Role.OWNER)
    answer = await world.client.patch(ORG, headers={**owner, **given}, json={"name": "Blind"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_settings_go_round(world: World) -> None:
    owner = await world.as_role(Role.OWNER)
    read = await world.client.get(SETTINGS, headers=owner)
    edit = {**read.json(), "monthly_budget_micro_usd": 7_000_000, "allowed_bots": ["renovate[bot]"]}
    put = await world.client.put(SETTINGS, headers={**owner, "If-Match": read.headers["etag"]}, json=edit)
    again = await world.client.get(SETTINGS, headers=owner)
    assert (put.status_code, put.json(), again.json()) == (200, edit, edit)
    assert again.headers["etag"] == put.headers["etag"] != read.headers["etag"]


async def test_a_list_comes_in_pages_that_skip_and_repeat_nothing(world: World) -> None:
    made = {str((await world.make_key()).key.id) for _ in range(5)}
    key, seen, cursor = await world.as_key(), list[str](), None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await world.client.get(KEYS, headers=key, params=query)).json()
        seen += [item["id"] for item in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert len(seen) == len(set(seen)) == 6
    assert made < set(seen)


@pytest.mark.parametrize(
    ("query", "status"), [({"limit": 0}, 422), ({"limit": 101}, 422), ({"cursor": "bm9uc2Vuc2U"}, 400)]
)
async def test_a_page_that_cannot_be_is_refused(query: dict[str, Any], status: int, world: World) -> None:
    answer = await world.client.get(KEYS, headers=await world.as_key(), params=query)
    assert answer.status_code == status


async def test_a_key_is_shown_once(world: World) -> None:
    owner = await world.as_role(Role.OWNER)
    made = (await world.client.post(KEYS, headers=owner, json=NEW)).json()
    for path in (KEYS, f"{KEYS}/{made['key']['id']}"):
        assert made["token"] not in (await world.client.get(path, headers=owner)).text
    program = {"Authorization": f"Bearer {made['token']}"}
    me = (await world.client.get("/v1/me", headers=program)).json()
    assert (me["kind"], me["organizations"][0]["permissions"]) == ("api_key", ["jobs:read"])
    gone = await world.client.delete(f"{KEYS}/{made['key']['id']}", headers=owner)
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await world.client.get("/v1/me", headers=program)).status_code == 401


async def test_who_gives_more_than_he_has_is_refused(world: World) -> None:
    few = await world.as_key(frozenset({Permission.KEYS_EDIT, Permission.JOBS_READ}))
    answer = await world.client.post(KEYS, headers=few, json={**NEW, "scopes": ["jobs:create"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_too_high")


async def test_a_person_sees_all_his_organizations(world: World) -> None:
    me = (await world.client.get("/v1/me", headers=await world.as_role(Role.VIEWER))).json()
    assert (me["kind"], me["user"]["email"]) == ("user", world.us.members[Role.VIEWER].email)
    assert [(place["slug"], place["role"]) for place in me["organizations"]] == [("acme", "viewer")]


async def test_a_use_is_noted_once_a_minute(world: World) -> None:
    issued = await world.make_key()
    program = {"Authorization": f"Bearer {issued.token.reveal()}"}
    path = f"{KEYS}/{issued.key.id}"
    seen = {(await world.client.get(path, headers=program)).json()["last_used_at"] for _ in range(3)}
    assert len(seen) == 1
    assert seen != {None}
