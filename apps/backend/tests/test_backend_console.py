"""The console without a browser: who gets in, what forms need, what is escaped, what its pages say of themselves."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import SecretStr
from starlette.responses import Response

from aicd_backend.access import Level
from aicd_backend.console import CONSOLE
from aicd_backend.console.forms import TOKEN, token_of
from aicd_backend.console.problem_pages import PLACES
from aicd_backend.console.routing import ConsoleRoute, console_router, sees
from aicd_backend.login_providers import GithubProvider
from aicd_backend.problems import MEDIA_TYPE
from aicd_backend.testing.job_recipes import make_job, repository, store_results
from aicd_backend.testing.world import BASE, SYSTEM, OpenWorld, World, settings_under_test
from aicd_cli.sample import make_sample
from aicd_core.tenancy.permissions import Permission, Role, powers_of_role
from aicd_core.tenancy.repositories.service import connect

PAGES = ("jobs", "jobs/new", "repositories", "policy", "usage", "billing", "members", "keys", "audit")
TABS = ("", "/log", "/changes", "/tests", "/tests/log", "/review", "/usage", "/calls")


async def get(world: World, cookie: str, path: str, **headers: str) -> httpx.Response:
    return await world.client.get(path, headers={"Cookie": cookie, "Accept": "text/html", **headers})


async def post(world: World, cookie: str, path: str, fields: dict[str, str], origin: str = BASE) -> httpx.Response:
    return await world.client.post(path, headers={"Cookie": cookie, "Origin": origin}, data=fields)


def field_of(world: World, cookie: str) -> dict[str, str]:
    """The form's token of a login."""
    value = SimpleCookie(cookie)[world.stores.settings.session_cookie].value
    return {TOKEN: token_of(value)}


async def cookie_of(world: World, role: Role = Role.OWNER) -> str:
    return (await world.as_role(role))["Cookie"]


async def enter(world: World, key: str, origin: str = BASE) -> httpx.Response:
    fields = {"key": key, "return_to": "/console/acme/jobs"}
    return await world.client.post("/login/key", headers={"Origin": origin}, data=fields)


async def test_every_page_is_answered_with_a_policy_that_lets_nothing_inline_in(world: World) -> None:
    cookie, job = await cookie_of(world), await make_job(world, world.us)
    await store_results(world, world.us, job)
    for path in (*PAGES, *(f"jobs/{job}{tab}" for tab in TABS)):
        answer = await get(world, cookie, f"/console/acme/{path}")
        assert answer.status_code == 200, (path, answer.text)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son[a-z]+=", answer.text), path


async def test_members_are_told_when_nobody_can_take_an_invitation(world: World, world_with: OpenWorld) -> None:
    owner, viewer = await cookie_of(world), await cookie_of(world, Role.VIEWER)
    said = "Nobody can take an invitation here yet"
    assert said in (await get(world, owner, "/console/acme/members")).text
    assert said not in (await get(world, viewer, "/console/acme/members")).text
    provider = GithubProvider(name="github", kind="github", client_id="x", client_secret=SecretStr("y" * 8))
    logged = settings_under_test().model_copy(update={"login_providers": (provider,)})
    async with world_with(logged) as other:
        assert said not in (await get(other, await cookie_of(other), "/console/acme/members")).text


async def test_a_page_asks_for_what_its_route_asks_for(world: World) -> None:
    wanted = {
        route.path: route.wanted.of
        for router in CONSOLE
        for route in router.routes
        if isinstance(route, ConsoleRoute) and "GET" in route.methods and route.path.count("/") == 3
    }
    for role in Role:
        cookie = await cookie_of(world, role)
        for path in PAGES:
            of = wanted.get(f"/console/{{org}}/{path}", Permission.JOBS_CREATE)
            assert isinstance(of, Permission)
            answer = await get(world, cookie, f"/console/acme/{path}")
            assert answer.status_code == (200 if of in powers_of_role(role) else 403), (role, path)


async def test_nobody_is_offered_what_he_may_not_see(world: World) -> None:
    """From the first page on: the billing role sees no jobs, and is not led to them."""
    nothing_used = [(await get(world, await cookie_of(world, role), "/console/acme/usage")).text for role in Role]
    assert ["Make a job" in text for text in nothing_used] == [True, True, True, False, False]
    job, which = await make_job(world, world.us), await repository(world, world.us)
    firsts = []
    for role in Role:
        cookie = await cookie_of(world, role)
        home = (await get(world, cookie, "/console")).headers["Location"]
        assert home == "/console/acme"
        first = (await get(world, cookie, home)).headers["Location"]
        firsts.append(first)
        ours = [f"/console/acme/{path}" for path in (*PAGES, f"jobs/{job}", f"repositories/{which}")]
        offered = {first}
        for path in ours:
            if (answer := await get(world, cookie, path)).status_code == 200:
                offered |= set(re.findall(r'href="(/console/[^"#]*)', answer.text))
        for path in offered:
            assert (await get(world, cookie, unescape(path))).status_code == 200, (role, path)
    assert firsts == ["/console/acme/jobs"] * 4 + ["/console/acme/usage"]


async def test_another_organizations_pages_and_jobs_are_not_found(world: World) -> None:
    cookie = await cookie_of(world)
    theirs = await make_job(world, world.rival)
    for path in (
        "rival/jobs",
        f"rival/jobs/{theirs}",
        f"acme/jobs/{theirs}",
        f"acme/jobs/{theirs}/changes",
        "none/jobs",
    ):
        answer = await get(world, cookie, f"/console/{path}")
        assert answer.status_code == 404, path
        assert "Greet" not in answer.text
        assert ("API keys" in answer.text) == path.startswith("acme"), path
    cancelled = await post(world, cookie, f"/console/acme/jobs/{theirs}/cancel", field_of(world, cookie))
    assert cancelled.status_code == 404


async def test_an_address_with_half_an_id_is_no_page(world: World) -> None:
    cookie = await cookie_of(world)
    for path in ("jobs/01a20a19", "repositories/x", "members/%F0%9F%98%80"):
        answer = await get(world, cookie, f"/console/acme/{path}")
        assert answer.status_code == 404, path
        assert "Not Found" in answer.text
    assert (await get(world, cookie, "/console/acme/jobs/01a20a19", **{"HX-Request": "true"})).status_code == 404


async def test_a_form_needs_the_token_of_its_own_login_and_our_origin(world: World) -> None:
    cookie, other = await cookie_of(world), await cookie_of(world)
    path = "/console/acme/repositories"
    fields = {"source": "https://code.test/acme/shop"}
    good = fields | field_of(world, cookie)
    for sent, origin in ((fields, BASE), (fields | field_of(world, other), BASE), (good, "https://evil.test")):
        answer = await post(world, cookie, path, sent, origin)
        assert answer.status_code == 403, sent
    assert (await post(world, cookie, path, good)).headers["Location"] == f"{path}?done=connected"


async def test_nobody_is_led_to_the_login_page_and_a_script_is_told_so(world: World) -> None:
    plain = await world.client.get("/console/acme/jobs?q=a%20b")
    assert (plain.status_code, plain.headers["Location"]) == (
        303,
        "/login?return_to=%2Fconsole%2Facme%2Fjobs%3Fq%3Da%2520b",
    )
    told = {"HX-Request": "true", "HX-Current-URL": f"{BASE}/console/acme/jobs"}
    script = await world.client.get("/console/acme/jobs/changes", headers=told)
    assert (script.status_code, script.headers["HX-Redirect"]) == (401, "/login?return_to=%2Fconsole%2Facme%2Fjobs")
    odd = await world.client.get("/console/acme/jobs", headers={"HX-Request": "true", "HX-Current-URL": "http://["})
    assert (odd.status_code, odd.headers["HX-Redirect"]) == (401, "/login?return_to=%2Fconsole")


async def test_what_stands_before_all_routes_refuses_a_browser_in_words(world_with: OpenWorld) -> None:
    settings = settings_under_test()
    tight = {"rate_limit_login": 1, "request_timeout": 0.5, "body_max_bytes": 1000}
    async with world_with(settings.model_copy(update=tight)) as world:

        @world.app.get("/console/acme/slow")
        async def slow() -> None:
            await asyncio.sleep(5)

        key = {"key": "aicd_key_no", "return_to": "/console"}
        large = await world.client.post("/login/key", headers={"Origin": BASE}, data={"key": "x" * 2000})
        late = await world.client.get("/console/acme/slow")
        nowhere = await world.client.get("/console/acme/no/such/page")
        often = await world.client.post("/login/key", headers={"Origin": BASE}, data=key)
        by_script = await world.client.post("/login/key", headers={"Origin": BASE, "HX-Request": "true"}, data=key)
        of_the_api = await world.client.get("/v1/no/such/route")
    told = {413: large, 503: late, 404: nowhere, 429: often}
    for status, answer in told.items():
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "<h1>" in answer.text
        assert answer.headers["X-Request-Id"] in answer.text
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert (large.headers["Connection"], int(often.headers["Retry-After"]) > 0) == ("close", True)
    assert (by_script.status_code, by_script.text[:2], "<h1>" in by_script.text) == (429, "<p", False)
    assert of_the_api.headers["Content-Type"] == MEDIA_TYPE


def test_every_page_is_where_errors_are_pages() -> None:
    paths = [route.path for router in CONSOLE for route in router.routes if isinstance(route, ConsoleRoute)]
    assert [path for path in paths if path != "/" and not path.startswith(PLACES)] == []


async def test_a_key_lets_in_as_far_and_as_long_as_it_is_good_and_is_not_in_the_cookie(world: World) -> None:
    issued = await world.make_key(frozenset({Permission.JOBS_READ}))
    token = issued.token.reveal()
    assert (await enter(world, token, "https://evil.test")).status_code == 403
    assert "Set-Cookie" not in (wrong := await enter(world, f"{token}x")).headers
    assert wrong.status_code == 403
    answer = await enter(world, token)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/acme/jobs")
    sent = answer.headers["Set-Cookie"]
    assert token not in sent
    assert {"HttpOnly", "Secure", "SameSite=lax", "Max-Age=43200"} <= set(sent.split("; "))
    cookie = sent.partition(";")[0]
    assert (await get(world, cookie, "/console/acme/jobs")).status_code == 200
    assert (await get(world, cookie, "/console/acme/keys")).status_code == 403
    assert (await get(world, cookie, "/v1/me/sessions")).status_code == 403
    assert (await get(world, cookie, "/console/rival/jobs")).status_code == 404
    forged = await post(world, cookie, "/v1/organizations/acme/jobs", {}, "https://evil.test")
    assert forged.status_code == 403
    await world.revoke_all_keys()
    assert (await get(world, cookie, "/console/acme/jobs")).status_code == 303


async def test_a_login_by_key_ends_in_time_however_long_a_browser_keeps_it(world: World) -> None:
    key, now = (await world.make_key()).key, datetime.now(UTC)
    for ago, status in ((timedelta(hours=11, minutes=59), 200), (timedelta(hours=12, minutes=1), 303)):
        sealed = world.app.state.console_logins.open(key, now - ago)
        cookie = f"{world.stores.settings.session_cookie}={sealed}"
        assert (await get(world, cookie, "/console/acme/jobs")).status_code == status


async def test_a_login_by_key_is_on_record(world: World) -> None:
    issued = await world.make_key()
    await enter(world, issued.token.reveal())
    found = await get(world, await cookie_of(world), f"/console/acme/audit?action=session.opened&actor={issued.key.id}")
    assert str(issued.key.id) in found.text
    assert f"api key “{issued.key.name}”" in found.text


async def test_without_secret_keys_such_a_login_is_the_processs_own_and_in_production_there_is_none(
    world_with: OpenWorld,
) -> None:
    settings = settings_under_test().model_copy(update={"secret_keys": None})
    async with world_with(settings) as one:
        token = (await one.make_key()).token.reveal()
        cookie = (await enter(one, token)).headers["Set-Cookie"].partition(";")[0]
        assert (await get(one, cookie, "/console/acme/jobs")).status_code == 200
    async with world_with(settings) as restarted:
        assert (await get(restarted, cookie, "/console/acme/jobs")).status_code == 303
    async with world_with(settings.model_copy(update={"env": "production"})) as production:
        answer = await enter(production, token)
        assert (answer.status_code, "AICD_SECRET_KEYS" in answer.text) == (503, True)


async def test_a_login_page_leads_back_to_our_own_pages_only(world: World) -> None:
    token = (await world.make_key()).token.reveal()
    for where in ("https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)"):
        answer = await world.client.post(
            "/login/key", headers={"Origin": BASE}, data={"key": token, "return_to": where}
        )
        assert answer.headers["Location"] == "/console", where


async def test_whatever_people_and_models_write_is_text(world: World) -> None:
    cookie, evil = await cookie_of(world), "<img src=x onerror=alert(1)>"
    fields = field_of(world, cookie) | {"repository": str(await repository(world, world.us)), "issue": evil}
    made = await post(world, cookie, "/console/acme/jobs/new", fields)
    assert made.status_code == 303, made.text
    for path in (made.headers["Location"], "/console/acme/jobs", "/console/acme/jobs?q=%3Cimg%20src=x"):
        shown = await get(world, cookie, path)
        assert "<img src=x" not in shown.text
        assert "&lt;img src=x" in shown.text


async def test_logging_out_ends_the_login(world: World) -> None:
    cookie = await cookie_of(world)
    out = await post(world, cookie, "/logout", field_of(world, cookie))
    assert out.headers["Location"] == "/login?done=logged_out"
    assert (await get(world, cookie, "/console/acme/jobs")).status_code == 303


async def test_what_is_wrong_in_a_form_is_told_beside_it_and_what_was_typed_stays(world: World) -> None:
    cookie = await cookie_of(world)
    fields = field_of(world, cookie) | {"repository": str(await repository(world, world.us)), "issue": "Typed before"}
    for wrong in ({"cost_limit": "much"}, {"minutes": "1.5"}, {"priority": "high"}, {"agent": "nobody"}):
        answer = await post(world, cookie, "/console/acme/jobs/new", fields | wrong)
        assert (answer.status_code, "Typed before" in answer.text) == (400, True), answer.text


async def test_what_no_page_of_ours_would_send_is_refused_as_the_api_refuses_it(world: World) -> None:
    cookie, job = await cookie_of(world), await make_job(world, world.us)
    repositories, at_job = "/console/acme/repositories", f"/console/acme/jobs/{job}"
    token = field_of(world, cookie)
    for path, fields in (
        (f"{at_job}/resume", {"minutes": "999999999"}),
        (f"{at_job}/approve", {"plan_hash": "short"}),
        (f"{at_job}/send-back", {"comment": ""}),
        (repositories, {"source": "https://code.test/a", "installation_id": "none"}),
        (repositories, {"source": ""}),
        ("/console/acme/policy", {"revision": "0", "note": "x" * 1001}),
        ("/console/acme/policy/try", {"revision": "0", "patch": "x" * 2_000_001}),
        ("/console/acme/keys", {"name": "x" * 1000, "scopes": "jobs:read"}),
        ("/console/acme/keys", {"name": "brief", "scopes": "jobs:read", "days": "0"}),
        ("/console/acme/keys", {"name": "long", "scopes": "jobs:read", "days": "3651"}),
        (f"{at_job}/resume", {"minutes": "0"}),
        ("/console/acme/members/invite/new", {"email": "a@b.test", "role": "viewer", "days": "0"}),
        ("/console/acme/members/invite/new", {"email": "a@b.test", "role": "viewer", "days": "9999"}),
    ):
        answer = await post(world, cookie, path, token | fields)
        assert answer.status_code == 400, (path, answer.status_code, answer.headers)
    assert 'value="a@b.test"' in answer.text, "what was typed is in the form that is shown again"


@pytest.mark.parametrize(("allowed", "told"), [(True, 200), (False, 409)])
async def test_a_servers_own_repositories_are_read_only_where_its_operator_allows_it(
    allowed: bool, told: int, world_with: OpenWorld, tmp_path: Path
) -> None:
    """Also when one was connected while it was allowed."""
    place = make_sample(tmp_path / "sample")
    async with world_with(settings_under_test().model_copy(update={"local_repositories": allowed})) as world:
        cookie = await cookie_of(world)
        async with world.stores.database.write(world.us.tenant) as session:
            known = await connect(session, world.us.tenant, SYSTEM, str(place))
        fields = field_of(world, cookie) | {"revision": "0", "repository": str(known.id)}
        answer = await post(world, cookie, "/console/acme/policy/try", fields)
        assert (answer.status_code, "Slugs" in answer.text) == (told, allowed), answer.text
        assert (str(known.id) in answer.text) == allowed


def test_a_page_that_takes_a_form_and_does_not_check_it_does_not_start() -> None:
    async def unchecked() -> Response:
        return Response()

    with pytest.raises(TypeError, match="a form that nobody checks"):
        console_router().post("/x", **sees(Level.AUTHENTICATED))(unchecked)


def test_pages_are_no_part_of_the_apis_document() -> None:
    assert not any(
        route.include_in_schema for router in CONSOLE for route in router.routes if isinstance(route, APIRoute)
    )
