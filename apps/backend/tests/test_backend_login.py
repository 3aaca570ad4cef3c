"""Logging in at a certified OpenID Connect provider that runs here, and every way to abuse that."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from aicd_backend.login.attempts import LASTS
from aicd_backend.login_providers import OidcProvider
from aicd_backend.settings import BackendSettings
from aicd_backend.testing.browsers import AGENT, Browser, open_browser
from aicd_backend.testing.providers import CLIENT_ID, CLIENT_SECRET, HOST
from aicd_backend.testing.world import BASE, FRONT_END, KEYS, SYSTEM, OpenWorld, World
from aicd_core.tenancy.accounts.service import create_user, delete_user
from aicd_core.tenancy.accounts.values import UserFields, UserView
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.memberships.service import join
from aicd_core.tenancy.permissions import Role

SESSION, LOGIN = "__Host-aicd_session", "__Host-aicd_login"
CALLBACK = f"{BASE}/v1/auth/acme/callback"
OpenBrowser = Callable[[str], Awaitable[Browser]]


def provider(name: str, issuer: str) -> OidcProvider:
    secret = SecretStr(CLIENT_SECRET)
    return OidcProvider(name=name, issuer=issuer, client_id=CLIENT_ID, client_secret=secret)


@pytest.fixture
async def world(world_with: OpenWorld, oidc_issuer: str) -> AsyncIterator[World]:
    providers = (provider("acme", oidc_issuer), provider("other", oidc_issuer))
    settings = BackendSettings(origins=(FRONT_END,), public_url=BASE, secret_keys=KEYS, login_providers=providers)
    async with world_with(settings) as opened:
        yield opened


@pytest.fixture
async def browser_of(world: World) -> AsyncIterator[OpenBrowser]:
    """Opens the browser of somebody who is logged in at the provider under this name; empty: who cancels there."""
    async with AsyncExitStack() as stack:

        async def open_one(account: str) -> Browser:
            browser = await stack.enter_async_context(open_browser(world.app, BASE))
            browser.put("account", account, HOST)
            return browser

        yield open_one


async def counted(world: World) -> tuple[int, int, int]:
    """How many users, identities and logins, ended ones too, there are."""
    async with world.stores.database.accounts() as session:
        query = (
            "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM identities), (SELECT count(*) FROM sessions)"
        )
        users, identities, sessions = (await session.execute(text(query))).one()
    return users, identities, sessions


async def member(world: World, email: str, *, verified: bool = True) -> UserView:
    """A developer of our organization."""
    async with world.stores.database.accounts() as session:
        user = await create_user(session, UserFields(email, verified, "Known"))
    async with world.stores.database.write(world.us.tenant) as session:
        await join(session, world.us.tenant, SYSTEM, user, Role.DEVELOPER)
    return user


async def audited(world: World) -> list[tuple[ActorKind, str, dict[str, Any]]]:
    """Acts of logins in our audit log, oldest first."""
    async with world.stores.database.read(world.us.tenant) as session:
        query = text("SELECT actor_kind, action, detail FROM audit_log ORDER BY id")
        rows = (await session.execute(query)).all()
    wanted = ("session.", "identity.", "login.")
    return [(kind, action, detail) for kind, action, detail in rows if action.startswith(wanted)]


def refused(answer: httpx.Response, status: int, code: str) -> None:
    """Checks that somebody was not let in, and was told so on a page that says what to do."""
    assert (answer.status_code, code in answer.text) == (status, True), answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert "gain" in answer.text
    assert SESSION not in answer.headers.get("set-cookie", "")


def altered(url: str, **changes: str | None) -> str:
    """An address with other parameters; None takes one away."""
    parts = urlsplit(url)
    fields = dict(parse_qsl(parts.query)) | changes
    return urlunsplit(
        parts._replace(query=urlencode({name: text for name, text in fields.items() if text is not None}))
    )


async def test_somebody_new_logs_in_and_is_who_the_provider_says(world: World, browser_of: OpenBrowser) -> None:
    alice = await browser_of("alice")
    began = await alice.get("/v1/auth/acme/login?return_to=https://app.test/jobs?page=2")
    asked = dict(parse_qsl(urlsplit(began.headers["Location"]).query))
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert {"state", "nonce", "code_challenge"} <= asked.keys()
    answer = await alice.get(await alice.follow(began.headers["Location"], CALLBACK))
    assert (answer.status_code, answer.headers["location"]) == (302, "https://app.test/jobs?page=2")
    me = (await alice.get("/v1/me")).json()
    assert (me["user"]["email"], me["user"]["email_verified"], me["user"]["name"]) == (
        "alice@example.org", True, "Alice",
    )  # fmt: skip
    assert alice.cookie(LOGIN) is None


async def test_the_cookies_are_bound_to_this_host_and_hidden_from_scripts(browser_of: OpenBrowser) -> None:
    alice = await browser_of("alice")
    began = await alice.get("/v1/auth/acme/login")
    answer = await alice.get(await alice.follow(began.headers["Location"], CALLBACK))
    cookies = began.headers.get_list("set-cookie") + answer.headers.get_list("set-cookie")
    assert len(cookies) == 3
    for cookie in cookies:
        assert cookie.startswith(("__Host-aicd_session=", "__Host-aicd_login="))
        parts = {part.strip().lower() for part in cookie.split(";")}
        assert {"secure", "httponly", "samesite=lax", "path=/"} <= parts
        assert not any(part.startswith("domain") for part in parts)


async def test_only_the_hash_of_a_login_is_stored(world: World, browser_of: OpenBrowser) -> None:
    alice = await browser_of("alice")
    await alice.log_in("acme")
    cookie = alice.cookie(SESSION)
    async with world.stores.database.accounts() as session:
        rows = (await session.execute(text("SELECT * FROM sessions"))).mappings().all()
    assert cookie is not None
    assert cookie.value is not None
    assert cookie.value not in str(rows)
    assert (rows[-1]["user_agent"], rows[-1]["address"]) == (AGENT, "203.0.113.7")


async def test_each_login_has_a_token_of_its_own_and_ends_the_one_before(world: World, browser_of: OpenBrowser) -> None:
    alice = await browser_of("alice")
    tokens = []
    for _ in range(2):
        assert (await alice.log_in("acme")).status_code == 302
        cookie = alice.cookie(SESSION)
        assert cookie is not None
        tokens.append(cookie.value)
    assert await counted(world) == (11, 1, 2)
    answers = [await world.client.get("/v1/me", headers={"Cookie": f"{SESSION}={token}"}) for token in tokens]
    assert [answer.status_code for answer in answers] == [401, 200]


async def test_a_login_that_was_planted_is_not_the_one_that_comes_of_it(world: World, browser_of: OpenBrowser) -> None:
    victim, planted = await browser_of("alice"), await world.open_session((await world.make_user("mallory")).id)
    victim.put(SESSION, planted.token.reveal(), urlsplit(BASE).netloc)
    await victim.log_in("acme")
    me = await world.client.get("/v1/me", headers=world.as_session(planted))
    assert me.status_code == 401


async def test_who_is_known_by_a_verified_address_is_let_in_and_his_organization_told(
    world: World, browser_of: OpenBrowser
) -> None:
    known, alice = await member(world, "Alice@example.org"), await browser_of("alice")
    await alice.log_in("acme")
    me = (await alice.get("/v1/me")).json()
    assert (me["id"], [place["slug"] for place in me["organizations"]]) == (str(known.id), ["acme"])
    assert (await alice.post("/v1/auth/logout", BASE)).status_code == 204
    assert alice.cookie(SESSION) is None
    entries = await audited(world)
    assert [(kind, action) for kind, action, _ in entries] == [
        (ActorKind.USER, "identity.linked"), (ActorKind.USER, "session.opened"), (ActorKind.USER, "session.closed"),
    ]  # fmt: skip
    assert entries[1][2] | {"issuer": ""} == {"issuer": "", "address": "203.0.113.7", "user_agent": AGENT}


async def test_an_address_that_nobody_has_verified_lets_nobody_in(world: World, browser_of: OpenBrowser) -> None:
    await member(world, "mallory@example.org")
    before, mallory = await counted(world), await browser_of("mallory")
    refused(await mallory.log_in("acme"), 403, "email_unverified")
    assert await counted(world) == before
    ((kind, action, detail),) = await audited(world)
    assert (kind, action, detail["reason"]) == (ActorKind.SYSTEM, "login.refused", "email_unverified")


async def test_an_account_with_an_unverified_address_is_nobodys_to_take(world: World, browser_of: OpenBrowser) -> None:
    await member(world, "bob@example.org", verified=False)
    before, bob = await counted(world), await browser_of("bob")
    refused(await bob.log_in("acme"), 403, "email_unverified")
    assert await counted(world) == before


async def test_who_has_no_address_is_told_to_get_one(world: World, browser_of: OpenBrowser) -> None:
    before = await counted(world)
    refused(await (await browser_of("nobody")).log_in("acme"), 403, "email_missing")
    assert await counted(world) == before


async def test_a_deleted_account_stays_out(world: World, browser_of: OpenBrowser) -> None:
    alice = await browser_of("alice")
    await alice.log_in("acme")
    async with world.stores.database.accounts() as session:
        (user_id,) = (await session.execute(text("SELECT id FROM users WHERE email = 'alice@example.org'"))).one()
        await delete_user(session, user_id, 1, datetime.now(UTC))
    refused(await alice.log_in("acme"), 403, "user_deleted")


async def test_an_answer_that_is_sent_again_is_worth_nothing(world: World, browser_of: OpenBrowser) -> None:
    alice = await browser_of("alice")
    answer_url = await alice.come_back("acme")
    begun = alice.cookie(LOGIN)
    assert begun is not None
    assert begun.value is not None
    assert (await alice.get(answer_url)).status_code == 302
    before = await counted(world)
    refused(await alice.get(answer_url), 403, "login_unknown")
    # Even somebody who has copied the browser's cookie in time: the provider takes a code once.
    thief = await browser_of("")
    thief.put(LOGIN, begun.value, urlsplit(BASE).netloc)
    refused(await thief.get(answer_url), 403, "login_code_refused")
    assert await counted(world) == before


async def test_a_forged_state_is_refused_and_the_real_answer_still_counts(
    world: World, browser_of: OpenBrowser
) -> None:
    alice = await browser_of("alice")
    answer_url = await alice.come_back("acme")
    before = await counted(world)
    for state in ("forged", "", None, "é"):
        refused(await alice.get(altered(answer_url, state=state)), 403, "login_unknown")
    refused(await alice.get(f"{answer_url}&state=forged"), 400, "login_answer_unreadable")
    assert await counted(world) == before


async def test_a_forged_state_does_not_end_the_login_that_was_begun(browser_of: OpenBrowser) -> None:
    alice = await browser_of("alice")
    answer_url = await alice.come_back("acme")
    await alice.get(altered(answer_url, state="forged"))
    assert (await alice.get(answer_url)).status_code == 302


async def test_an_answer_is_worth_nothing_in_another_browser(world: World, browser_of: OpenBrowser) -> None:
    """Login CSRF: Mallory has Alice's browser finish the login that he began, so that she works in his account."""
    attacker, victim = await browser_of("bob"), await browser_of("alice")
    answer_url = await attacker.come_back("acme")
    before = await counted(world)
    refused(await victim.get(answer_url), 403, "login_unknown")
    await victim.come_back("acme")
    refused(await victim.get(answer_url), 403, "login_unknown")
    assert await counted(world) == before


async def test_a_stolen_code_is_worth_nothing_in_the_thiefs_own_login(world: World, browser_of: OpenBrowser) -> None:
    """Code injection: the code of Alice's login, put into the answer to another's, which PKCE ties down."""
    alice, thief = await browser_of("alice"), await browser_of("bob")
    stolen = dict(parse_qsl(urlsplit(await alice.come_back("acme")).query))["code"]
    answer_url = await thief.come_back("acme")
    before = await counted(world)
    refused(await thief.get(altered(answer_url, code=stolen)), 403, "login_code_refused")
    assert await counted(world) == before


@pytest.mark.parametrize("method", [None, "plain"])
async def test_a_login_without_its_code_challenge_fails(
    method: str | None, world: World, browser_of: OpenBrowser
) -> None:
    """PKCE downgrade: somebody takes the challenge away on the way to a provider that does not insist on one."""
    alice = await browser_of("alice")
    began = await alice.get("/v1/auth/acme/login")
    before = await counted(world)
    if method is None:
        weaker = altered(began.headers["Location"], code_challenge=None, code_challenge_method=None)
        answer = await alice.get(await alice.follow(weaker, CALLBACK))
        refused(answer, 403, "login_code_refused")
    else:
        weaker = altered(began.headers["Location"], code_challenge_method=method)
        refused(await alice.get(await alice.follow(weaker, CALLBACK)), 403, "login_failed")
    assert await counted(world) == before


async def test_an_answer_must_say_which_provider_gave_it(world: World, browser_of: OpenBrowser) -> None:
    """Mix-up (RFC 9207): this provider always names itself."""
    for issuer in ("https://evil.test", None):
        alice = await browser_of("alice")
        answer_url = await alice.come_back("acme")
        refused(await alice.get(altered(answer_url, iss=issuer)), 403, "login_issuer_differs")
    assert (await counted(world))[2] == 0


async def test_an_answer_belongs_to_the_provider_that_was_asked(world: World, browser_of: OpenBrowser) -> None:
    alice = await browser_of("alice")
    answer_url = await alice.come_back("acme")
    refused(await alice.get(answer_url.replace("/acme/", "/other/")), 403, "login_unknown")
    assert (await counted(world))[2] == 0


async def test_who_cancels_at_the_provider_is_told_so(browser_of: OpenBrowser) -> None:
    refused(await (await browser_of("")).log_in("acme"), 403, "login_denied")


async def test_a_login_must_be_finished_in_time(world: World, browser_of: OpenBrowser) -> None:
    alice = await browser_of("alice")
    answer_url = await alice.come_back("acme")
    begun, seal = alice.cookie(LOGIN), world.app.state.logins.seal
    assert begun is not None
    content = seal.open(begun.value, LASTS, datetime.now(UTC))
    for age in (LASTS + timedelta(minutes=1), -timedelta(minutes=5)):  # too old, or of a future that nobody has seen
        alice.put(LOGIN, seal.close(content, datetime.now(UTC) - age), urlsplit(BASE).netloc)
        refused(await alice.get(answer_url), 403, "login_unknown")


async def test_a_program_is_told_of_a_failed_login_as_a_problem(world: World) -> None:
    answer = await world.client.get(CALLBACK, params={"code": "x", "state": "x"})
    assert (answer.status_code, answer.json()["code"]) == (403, "login_unknown")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_what_a_provider_says_does_not_become_part_of_the_page(browser_of: OpenBrowser) -> None:
    alice = await browser_of("alice")
    answer_url = await alice.come_back("acme")
    answer = await alice.get(altered(answer_url, error="<script>alert(1)</script>", code=None))
    refused(answer, 403, "login_failed")
    assert "<script" not in answer.text
    strange = await alice.get('/v1/auth/"><script>/login')
    assert strange.status_code == 404
    assert "<script" not in strange.text


async def test_nobody_is_led_elsewhere(world: World) -> None:
    for elsewhere in (
        *("https://evil.test/", "//evil.test", "/\\evil.test", "https://app.test.evil.test/", "https:/\\evil.test"),
        *("https://app.test@evil.test/", "javascript:alert(1)", "/\t/evil.test", "http://app.test/", "x", ""),
        "/" + "a" * 2000,
    ):
        answer = await world.client.get("/v1/auth/acme/login", params={"return_to": elsewhere})
        assert (elsewhere, answer.status_code, answer.json()["code"]) == (elsewhere, 400, "return_to_refused")
        assert "set-cookie" not in answer.headers


async def test_one_goes_where_one_came_from(browser_of: OpenBrowser) -> None:
    for place in ("/v1/me", f"{BASE}/v1/me", f"{FRONT_END}/jobs?page=2#top", None):
        answer = await (await browser_of("alice")).log_in("acme", place)
        assert answer.headers["location"] == (place or f"{FRONT_END}/")


async def test_the_login_page_learns_where_people_can_log_in(world: World) -> None:
    assert (await world.client.get("/v1/auth/providers")).json() == [
        {"name": name, "label": name, "login_url": f"/v1/auth/{name}/login"} for name in ("acme", "other")
    ]


async def test_another_providers_name_is_not_found(world: World) -> None:
    answer = await world.client.get("/v1/auth/nowhere/login")
    assert (answer.status_code, answer.json()["code"]) == (404, "login_provider_not_found")
    assert "acme, other" in answer.json()["detail"]


async def test_a_provider_that_is_away_is_unavailable(world_with: OpenWorld) -> None:
    gone = provider("gone", "http://127.0.0.1:1")
    settings = BackendSettings(public_url=BASE, secret_keys=KEYS, login_providers=(gone,))
    async with world_with(settings) as world:
        answer = await world.client.get("/v1/auth/gone/login")
    assert (answer.status_code, answer.json()["code"]) == (503, "login_provider_unavailable")


async def test_logging_out_takes_a_page_of_ours_and_ends_the_login_at_once(
    world: World, browser_of: OpenBrowser
) -> None:
    alice = await browser_of("alice")
    await alice.log_in("acme")
    for origin in ("https://evil.test", "null", None):
        assert (await alice.post("/v1/auth/logout", origin)).json()["code"] == "origin_refused"
    token = alice.cookie(SESSION)
    assert token is not None
    assert (await alice.post("/v1/auth/logout", FRONT_END)).status_code == 204
    kept = await world.client.get("/v1/me", headers={"Cookie": f"{SESSION}={token.value}"})
    assert kept.status_code == 401


async def test_on_one_machine_without_tls_the_cookie_has_another_name(world_with: OpenWorld, oidc_issuer: str) -> None:
    here = "http://localhost:8080"
    settings = BackendSettings(
        public_url=here, cookie_secure=False, secret_keys=KEYS, login_providers=(provider("acme", oidc_issuer),)
    )
    async with world_with(settings) as world, open_browser(world.app, here) as browser:
        (cookie,) = (await browser.get("/v1/auth/acme/login")).headers.get_list("set-cookie")
    assert cookie.startswith("aicd_login=")
    assert "secure" not in cookie.lower()
