"""What holds at the edge for every request: its id, its size, the headers of its answer, and health."""

import asyncio
import logging
from collections.abc import AsyncIterator, MutableMapping
from typing import Any
from uuid import UUID

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from aicd_backend.app import Api
from aicd_backend.middleware import SECURITY_HEADERS
from aicd_backend.settings import BackendSettings
from aicd_backend.testing.world import offline_app
from aicd_cli.readiness import ReadyCheck
from aicd_core.errors import UnavailableError

LIMIT = 1000


async def always_ready() -> None:
    return None


def make_app(ready: ReadyCheck = always_ready, ready_timeout: float = 5) -> Api:
    app = offline_app(BackendSettings(body_max_bytes=LIMIT, ready_timeout=ready_timeout), ready)

    @app.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    @app.post("/deaf")
    async def deaf(request: Request) -> str:
        try:
            await request.body()
        except Exception:  # noqa: BLE001 - the point is a route that swallows everything
            return "never mind"
        return "read"

    @app.post("/early")
    async def early(request: Request) -> Response:
        async def echo() -> AsyncIterator[bytes]:
            yield b"begun"
            async for chunk in request.stream():
                yield chunk

        return StreamingResponse(echo())

    return app


def client_of(app: Api, base: str = "http://api.test") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base)


async def chunks(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        yield b"x" * size


async def test_an_answer_carries_the_callers_request_id() -> None:
    async with client_of(make_app()) as client:
        answer = await client.get("/healthz", headers={"X-Request-Id": "Run_7.step-2"})
    assert answer.headers.get_list("x-request-id") == ["Run_7.step-2"]


@pytest.mark.parametrize(
    "offered",
    [[], [""], ["a b"], ["-rf"], ["x" * 129], ['"quoted"'], ["caf\xe9"], ["one", "two"]],
)
async def test_a_missing_or_odd_request_id_is_replaced_by_a_fresh_one(offered: list[str]) -> None:
    headers = [(b"X-Request-Id", value.encode("latin-1")) for value in offered]
    async with client_of(make_app()) as client:
        first, second = [await client.get("/healthz", headers=headers) for _ in range(2)]
    ids = {UUID(answer.headers["x-request-id"]) for answer in (first, second)}
    assert [request_id.version for request_id in ids] == [7, 7]


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/nowhere", 404)])
async def test_every_answer_has_the_security_headers(path: str, status: int) -> None:
    async with client_of(make_app()) as client:
        answer = await client.get(path)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS


@pytest.mark.parametrize(("base", "expected"), [("https://api.test", True), ("http://api.test", False)])
async def test_strict_transport_is_asked_for_only_over_tls(base: str, expected: bool) -> None:
    async with client_of(make_app(), base) as client:
        answer = await client.get("/healthz")
    assert ("strict-transport-security" in answer.headers) is expected


async def test_a_route_may_set_a_security_header_of_its_own() -> None:
    app = make_app()

    @app.get("/page")
    async def page(response: Response) -> None:
        response.headers["Content-Security-Policy"] = "default-src 'self'"

    async with client_of(app) as client:
        answer = await client.get("/page")
    assert answer.headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_body_of_exactly_the_limit_is_taken() -> None:
    async with client_of(make_app()) as client:
        whole = await client.post("/size", content=b"x" * LIMIT)
        streamed = await client.post("/size", content=chunks(1, LIMIT - 1))
    assert (whole.json(), streamed.json()) == (LIMIT, LIMIT)


@pytest.mark.parametrize("path", ["/size", "/deaf", "/nowhere"])
async def test_a_body_declared_too_large_is_refused_whatever_the_route(path: str) -> None:
    async with client_of(make_app()) as client:
        answer = await client.post(path, content=b"x" * (LIMIT + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert f"{LIMIT} bytes" in answer.json()["detail"]
    assert answer.headers["connection"] == "close"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/size", "/deaf"])
async def test_a_stream_that_grows_too_large_is_refused_even_if_the_route_hides_it(path: str) -> None:
    async with client_of(make_app()) as client:
        answer = await client.post(path, content=chunks(LIMIT, 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_lie_about_the_length_does_not_get_a_larger_body_in() -> None:
    async with client_of(make_app()) as client:
        answer = await client.post("/size", content=chunks(LIMIT, 1), headers={"Content-Length": "5"})
    assert answer.status_code == 413


async def test_no_more_of_a_stream_is_read_than_shows_that_it_is_too_large() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 300

    async with client_of(make_app()) as client:
        answer = await client.post("/size", content=endless())
    assert answer.status_code == 413
    assert taken == 4


@pytest.mark.parametrize(
    ("path", "body"), [("/early", b"x" * (LIMIT + 1)), ("/broken", b"")], ids=["too large", "failing"]
)
async def test_an_answer_that_has_begun_is_cut_rather_than_mended(path: str, body: bytes) -> None:
    app = make_app()

    @app.post("/broken")
    async def broken() -> Response:
        async def half() -> AsyncIterator[bytes]:
            yield b"begun"
            raise RuntimeError("half way")

        return StreamingResponse(half())

    sent: list[MutableMapping[str, Any]] = []
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> MutableMapping[str, Any]:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "asgi": {"spec_version": "2.4"}, "method": "POST", "path": path, "raw_path": b""}
    scope |= {"query_string": b"", "headers": [], "scheme": "http", "server": ("api.test", 80), "root_path": ""}
    with pytest.raises(Exception):  # noqa: B017, PT011 - which one is the framework's affair, that it gets out is ours
        await app(scope, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[1]["body"] == b"begun"


async def test_a_live_process_says_so() -> None:
    async with client_of(make_app()) as client:
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_a_server_whose_needs_answer_is_ready() -> None:
    asked = 0

    async def ready() -> None:
        nonlocal asked
        asked += 1

    async with client_of(make_app(ready)) as client:
        answers = [(await client.get("/readyz")).status_code for _ in range(3)]
    assert answers == [200, 200, 200]
    assert asked == 3


async def test_a_server_whose_needs_do_not_answer_is_alive_but_not_ready(caplog: pytest.LogCaptureFixture) -> None:
    async def ready() -> None:
        raise UnavailableError("The database at 10.0.0.7 is down.")

    async with client_of(make_app(ready)) as client:
        alive, answer = await client.get("/healthz"), await client.get("/readyz")
    assert alive.status_code == 200
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "10.0.0.7" not in answer.text
    assert any("10.0.0.7" in record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)


async def test_a_readiness_check_with_a_bug_is_an_unexpected_error() -> None:
    async def ready() -> None:
        raise KeyError("10.0.0.7")

    async with client_of(make_app(ready)) as client:
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")


async def test_readiness_is_known_in_time_even_if_the_check_hangs_and_will_not_be_cancelled() -> None:
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async with client_of(make_app(stubborn, ready_timeout=0.05)) as client, asyncio.timeout(2):
        answers = [(await client.get("/readyz")).status_code for _ in range(2)]
        release.set()
    assert answers == [503, 503]


async def test_a_hanging_check_is_given_up_and_the_next_one_may_succeed() -> None:
    runs = 0

    async def slow_at_first() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            await asyncio.Event().wait()

    async with client_of(make_app(slow_at_first, ready_timeout=0.05)) as client:
        answers = [(await client.get("/readyz")).status_code for _ in range(2)]
    assert answers == [503, 200]


async def test_many_who_ask_at_once_share_one_check() -> None:
    runs = 0

    async def slow() -> None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0.05)

    async with client_of(make_app(slow)) as client:
        answers = await asyncio.gather(*(client.get("/readyz") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert runs == 1
