"""How often, how long and from where requests may come."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request
from starlette.responses import StreamingResponse
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from aicd_backend.app import Api
from aicd_backend.problems import MEDIA_TYPE
from aicd_backend.rate_limits import subject_of_address
from aicd_backend.settings import BackendSettings
from aicd_backend.testing.world import FRONT_END, Org, enter_world, offline_app
from aicd_core.db.database import Database
from aicd_core.errors import InvalidInputError
from aicd_core.testing.databases import TestUrls, opened
from aicd_core.testing.redis import RedisServer

ME = "/v1/me"


def settings(**given: Any) -> BackendSettings:
    return BackendSettings(origins=(FRONT_END,), **given)


def client_of(app: Any, address: str = "192.0.2.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="https://api.test")


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server.url
    server.kill()


def alive(app: Api) -> AbstractAsyncContextManager[Any]:
    """As a server has it, from its start to its end."""
    return app.router.lifespan_context(app)


async def statuses(client: httpx.AsyncClient, count: int, **request: Any) -> list[int]:
    return [(await client.get(ME, **request)).status_code for _ in range(count)]


async def test_an_address_that_asks_too_often_is_told_to_wait_and_for_how_long() -> None:
    app = offline_app(settings(rate_limit_address=3))
    async with client_of(app) as client:
        first = await client.get(ME)
        assert first.headers["ratelimit-policy"] == '"address";q=3;w=60'
        assert first.headers["ratelimit"].startswith('"address";r=2;t=')
        assert await statuses(client, 2) == [401, 401]
        refused = await client.get(ME)
    assert (refused.status_code, refused.headers["content-type"]) == (429, MEDIA_TYPE)
    assert refused.json()["code"] == "rate_limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    async with client_of(app, "192.0.2.2") as other:
        assert await statuses(other, 1) == [401]


async def test_logging_in_is_counted_by_itself() -> None:
    app = offline_app(settings(rate_limit_login=3))
    begin, finish, token = "/v1/auth/nowhere/login", "/v1/auth/nowhere/callback", "/v1/oauth/token"
    async with client_of(app) as client:
        seen = [(await client.get(begin)).status_code, (await client.get(finish)).status_code]
        seen.append((await client.post(token)).status_code)
        assert seen == [404, 404, 400]
        for answer in (await client.get(begin), await client.get(finish), await client.post(token)):
            assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert [(await client.get("/v1/auth/providers")).status_code, *await statuses(client, 1)] == [200, 401]


async def test_health_is_not_counted() -> None:
    async with client_of(offline_app(settings(rate_limit_address=1))) as client:
        assert [(await client.get("/healthz")).status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("carried", ["Authorization", "Cookie"])
async def test_a_credential_is_counted_from_wherever_it_comes(carried: str) -> None:
    app = offline_app(settings(rate_limit_credential=2))
    good, other = (
        {carried: f"Bearer {name}" if carried == "Authorization" else f"__Host-aicd_session={name}"} for name in "ab"
    )
    seen = []
    for number in range(3):
        async with client_of(app, f"192.0.2.{number}") as client:
            seen += await statuses(client, 1, headers=good)
    assert seen == [401, 401, 429]
    async with client_of(app) as client:
        assert await statuses(client, 1, headers=other) == [401]


async def test_servers_with_one_redis_count_together(redis_url: str) -> None:
    given = settings(rate_limit_address=2, redis_url=redis_url)
    first, second = offline_app(given), offline_app(given)
    async with client_of(first) as one, client_of(second) as two, alive(first), alive(second):
        assert [*await statuses(one, 1), *await statuses(two, 2)] == [401, 401, 429]


async def test_a_redis_that_is_away_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    app = offline_app(settings(rate_limit_address=1, redis_url="redis://127.0.0.1:1"))
    async with client_of(app) as client, alive(app):
        assert await statuses(client, 2) == [401, 401]
    assert "Requests are not counted" in caplog.text


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", "unknown"),
    ],
)
def test_one_subscriber_is_one_subject(address: str, subject: str) -> None:
    assert subject_of_address(address) == subject


async def test_who_asks_is_what_a_trusted_proxy_says_and_nobody_else() -> None:
    app = ProxyHeadersMiddleware(offline_app(settings(rate_limit_address=1)), ["10.0.0.0/8"])
    forged = [{"X-Forwarded-For": f"192.0.2.{number}"} for number in range(2)]
    async with client_of(app, "10.0.0.1") as proxy:
        assert [(await proxy.get(ME, headers=headers)).status_code for headers in forged] == [401, 401]
    async with client_of(app, "203.0.113.9") as stranger:
        assert [(await stranger.get(ME, headers=headers)).status_code for headers in forged] == [401, 429]


def slow_app(limit: float, never: asyncio.Event) -> Api:
    app = offline_app(settings(request_timeout=limit))

    @app.get("/slow")
    async def slow() -> None:
        await never.wait()

    @app.post("/read")
    async def read(request: Request) -> int:
        return len(await request.body())

    @app.get("/own")
    async def own() -> None:
        raise TimeoutError

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"begun "
            await asyncio.sleep(limit * 3)
            yield b"ended"

        return StreamingResponse(parts())

    return app


async def test_an_answer_that_does_not_come_is_told() -> None:
    async with client_of(slow_app(0.05, asyncio.Event())) as client:
        answer = await client.get("/slow")
    assert (answer.status_code, answer.json()["code"]) == (503, "request_timed_out")
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


async def test_a_body_that_does_not_come_holds_nothing() -> None:
    never = asyncio.Event()

    async def trickle() -> AsyncIterator[bytes]:
        yield b"x"
        await never.wait()

    async with client_of(slow_app(0.05, never)) as client:
        assert (await client.post("/read", content=trickle())).status_code == 503


async def test_a_stream_that_has_begun_may_go_on() -> None:
    async with client_of(slow_app(0.05, asyncio.Event())) as client:
        assert (await client.get("/stream")).text == "begun ended"


async def test_a_timeout_of_the_route_itself_is_another_matter() -> None:
    async with client_of(slow_app(30, asyncio.Event())) as client:
        answer = await client.get("/own")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")


async def preflight(origin: str) -> httpx.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "If-Match"}
    async with client_of(offline_app()) as client:
        return await client.options(f"{ME}", headers=asked)


async def test_a_front_end_of_ours_may_ask_from_a_browser() -> None:
    asked = await preflight(FRONT_END)
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == FRONT_END
    assert asked.headers["access-control-allow-credentials"] == "true"
    async with client_of(offline_app()) as client:
        answer = await client.get(ME, headers={"Origin": FRONT_END})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, FRONT_END)
    assert "ETag" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", ["https://evil.test", "null", f"{FRONT_END}.evil.test", "http://app.test"])
async def test_no_other_page_may(origin: str) -> None:
    assert "access-control-allow-origin" not in (await preflight(origin)).headers
    async with client_of(offline_app()) as client:
        answer = await client.get(ME, headers={"Origin": origin})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origin", ["*", "app.test", "https://app.test/", "https://app.test/path", "https://a b"])
def test_what_is_no_origin_is_refused(origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AICD_ORIGINS", f"https://fine.test, {origin}")
    with pytest.raises(InvalidInputError, match="AICD_ORIGINS"):
        BackendSettings.load()


def test_origins_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AICD_ORIGINS", "https://a.test, http://localhost:3000")
    assert BackendSettings.load().origins == ("https://a.test", "http://localhost:3000")


async def test_a_server_whose_connections_are_all_in_use_says_when_to_come_back(
    world_urls: TestUrls, founded: tuple[str, tuple[Org, Org]]
) -> None:
    narrow = Database.connect(world_urls.app, pool_size=1, patience=0.1)
    async with opened(world_urls) as (_, system), enter_world(narrow, system, *founded[1]) as world:
        headers = await world.as_key()
        async with narrow.read(world.us.tenant):
            answer = await world.client.get("/v1/organizations/acme/members", headers=headers)
        later = await world.client.get("/v1/organizations/acme/members", headers=headers)
    await narrow.close()
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert "in use" in answer.json()["detail"]
    assert later.status_code == 200
