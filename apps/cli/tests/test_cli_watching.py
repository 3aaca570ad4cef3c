"""How requests are counted: by route, method and status, none of which a caller can make up."""

from contextlib import suppress

import pytest
from starlette.types import Message, Receive, Scope, Send

from aicd_cli.watching import WatchingMiddleware
from aicd_core.telemetry.metrics import REGISTRY


class _Route:
    path = "/things/{thing}"


async def _receive() -> Message:
    return {"type": "http.disconnect"}


async def _send(_: Message) -> None:
    pass


async def request(method: str, *, kind: str = "http", answered: bool = True) -> dict[str, float]:
    """Makes one; what it added to the counts of any status, and to those of times."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = _Route()
        if not answered:
            raise ConnectionResetError
        await send({"type": "http.response.start", "status": 201})

    before = counted()
    with suppress(ConnectionResetError):
        await WatchingMiddleware(app)({"type": kind, "method": method, "path": "/things/7"}, _receive, _send)
    return {name: value - before.get(name, 0) for name, value in counted().items() if value != before.get(name, 0)}


def counted() -> dict[str, float]:
    return {
        " ".join((sample.name.removeprefix("aicd_http_"), *sample.labels.values())): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name in ("aicd_http_requests_total", "aicd_http_request_seconds_count")
    }


@pytest.mark.parametrize(("method", "told"), [("GET", "GET"), ("BREW", "OTHER")])
async def test_a_request_is_counted_and_timed_by_its_routes_template(method: str, told: str):
    route = "/things/{thing}"
    assert await request(method) == {
        f"requests_total {told} {route} 201": 1,
        f"request_seconds_count {told} {route}": 1,
    }


async def test_one_that_nobody_waited_for_is_counted_without_a_time():
    assert await request("GET", answered=False) == {"requests_total GET /things/{thing} none": 1}


async def test_what_is_no_request_is_let_pass():
    assert await request("GET", kind="lifespan") == {}
