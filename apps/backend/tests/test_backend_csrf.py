"""What pages of other sites can do with a cookie that the browser puts on by itself: nothing. And what ours can."""

import gc

import httpx
import pytest

from aicd_backend.app import create_app
from aicd_backend.problems import RefusedError
from aicd_backend.settings import BackendSettings
from aicd_backend.testing.world import BASE, FRONT_END, KEYS, Headers, OpenWorld, World
from aicd_core.tenancy.permissions import Role

KEYS_URL = "/v1/organizations/acme/api-keys"
NEW = {"name": "forged", "scopes": ["jobs:read"]}
FORM = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Mode": "navigate",
}


async def cookie_of(world: World) -> Headers:
    """Only what the browser itself adds."""
    return {"Cookie": (await world.as_role(Role.OWNER))["Cookie"]}


ATTACKS: dict[str, Headers] = {
    "a form on another site": {**FORM, "Origin": "https://evil.test"},
    "a form that says it is JSON": {"Content-Type": "text/plain", "Origin": "https://evil.test"},
    "a script on another site": {"Content-Type": "application/json", "Origin": "https://evil.test"},
    "a page in a sandbox, or behind a redirect": {**FORM, "Origin": "null"},
    "no word of where it comes from": {"Content-Type": "application/json"},
    "only a Referer": {"Content-Type": "application/json", "Referer": f"{BASE}/"},
    "only what could be a proxy's word": {"Content-Type": "application/json", "X-Forwarded-Host": "api.test"},
    "a host that begins like ours": {"Origin": f"{BASE}.evil.test"},
    "a host that ends like ours": {"Origin": "https://evilapi.test"},
    "our host without TLS": {"Origin": BASE.replace("https", "http")},
    "our host on another port": {"Origin": f"{BASE}:8443"},
    "a front end's host with a path": {"Origin": f"{FRONT_END}/"},
    "an empty origin": {"Origin": ""},
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
async def test_another_sites_page_changes_nothing(attack: Headers, world: World) -> None:
    sent = {"Content-Type": "application/json", **attack, **await cookie_of(world)}
    answer = await world.client.post(KEYS_URL, headers=sent, content=b'{"name": "forged", "scopes": ["jobs:read"]}')
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")
    listed = (await world.client.get(KEYS_URL, headers=await cookie_of(world))).json()["items"]
    assert listed == []


async def test_two_origins_are_none(world: World) -> None:
    cookie = (await cookie_of(world))["Cookie"]
    sent = [("Cookie", cookie), ("Origin", FRONT_END), ("Origin", "https://evil.test")]
    answer = await world.client.post(KEYS_URL, headers=sent, json=NEW)
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_no_method_that_changes_something_is_left_out(method: str, world: World) -> None:
    path = {"PUT": "/v1/organizations/acme/settings", "PATCH": "/v1/organizations/acme"}.get(method)
    path = path or f"{KEYS_URL}/{(await world.make_key()).key.id}"
    sent = {**await cookie_of(world), "Origin": "https://evil.test", "If-Match": '"1"'}
    answer = await world.client.request(method, path, headers=sent, json={"name": "forged"})
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")


@pytest.mark.parametrize("origin", [BASE, FRONT_END])
async def test_pages_of_ours_may(origin: str, world: World) -> None:
    answer = await world.client.post(KEYS_URL, headers={**await cookie_of(world), "Origin": origin}, json=NEW)
    assert answer.status_code == 201


async def test_behind_a_proxy_our_origin_is_what_browsers_see(world_with: OpenWorld) -> None:
    settings = BackendSettings(public_url="https://aicd.example.com", secret_keys=KEYS)
    async with world_with(settings) as world:
        cookie = await cookie_of(world)
        outside = {**cookie, "Origin": "https://aicd.example.com"}
        assert (await world.client.post(KEYS_URL, headers=outside, json=NEW)).status_code == 201
        assert (await world.client.post(KEYS_URL, headers={**cookie, "Origin": BASE}, json=NEW)).status_code == 403


async def test_a_key_needs_no_origin_and_none_harms_it(world: World) -> None:
    for more in ({}, {"Origin": "https://evil.test"}):
        answer = await world.client.post(KEYS_URL, headers={**await world.as_key(), **more}, json=NEW)
        assert answer.status_code == 201


async def test_a_key_does_not_lend_its_freedom_to_a_cookie(world: World) -> None:
    """With both, the key is who asks; a bad one is not made good by the cookie."""
    sent = {**await cookie_of(world), "Authorization": "Bearer garbage", "Origin": FRONT_END}
    assert (await world.client.post(KEYS_URL, headers=sent, json=NEW)).status_code == 401


async def test_only_a_front_ends_scripts_read_answers_with_a_cookie(world: World) -> None:
    cookie = await cookie_of(world)
    for origin, allowed in ((FRONT_END, FRONT_END), ("https://evil.test", None), ("null", None)):
        for answer in (
            await world.client.get("/v1/me", headers={**cookie, "Origin": origin}),
            await world.client.get("/v1/nowhere", headers={**cookie, "Origin": origin}),
        ):
            assert answer.headers.get("access-control-allow-origin") == allowed
            assert "Origin" in answer.headers["vary"]
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "if-match",
        }
        preflight = await world.client.options("/v1/organizations/acme", headers=asked)
        assert (preflight.status_code, preflight.headers.get("access-control-allow-origin")) == (
            200 if allowed else 400, allowed,
        )  # fmt: skip
    told = (await world.client.get("/v1/me", headers={**cookie, "Origin": FRONT_END})).headers
    assert told["access-control-allow-credentials"] == "true"
    assert "ETag" in told["access-control-expose-headers"]


async def test_a_refused_request_leaves_nothing_behind(world: World) -> None:
    """An exception that is raised twice keeps both stacks, and with them both requests."""
    forged = {**await cookie_of(world), "Origin": "https://evil.test"}
    for _ in range(3):
        assert (await world.client.post(KEYS_URL, headers=forged)).status_code == 403
        assert (await world.client.get("/v1/me")).status_code == 401
        assert (await world.client.get("/v1/me", headers={"Authorization": "Bearer garbage"})).status_code == 401
        assert (await world.client.get("/v1/auth/nowhere/callback")).status_code == 404
    gc.collect()
    assert [kept for kept in gc.get_objects() if isinstance(kept, RefusedError)] == []


async def test_an_error_of_ours_can_be_read_by_the_front_end(world: World) -> None:
    app = create_app(world.stores, ready=world.stores.database.refuse_unsafe_role)

    @app.get("/fail")
    async def fail() -> None:
        raise RuntimeError

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        answer = await client.get("/fail", headers={"Origin": FRONT_END})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (500, FRONT_END)
