"""The endpoint that GitHub delivers to, on a real Postgres: right statuses, and no row where there must be none."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from aicd_core.db.database import SystemDatabase
from aicd_core.deliveries.service import store
from aicd_core.deliveries.values import NewDelivery, Stored
from aicd_core.errors import UnavailableError
from aicd_core.testing.databases import TestUrls
from aicd_github.webhooks import app, reading
from aicd_github.webhooks.app import BODY_MOST, PATH, WebhookEndpoint, webhook_app
from aicd_github.webhooks.signature import Secrets, sign

SECRET, OLD = "it is long enough to be one", "it was long enough to be one"
API = "https://api.github.com"
BODY = json.dumps({"action": "labeled", "repository": {"id": 5}, "issue": {"number": 7}, "installation": {"id": 3}})
DELIVERY = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
Send = Callable[..., Awaitable[httpx.Response]]
Keep = Callable[[NewDelivery], Awaitable[Stored]]


@pytest.fixture
def rows(database_urls: TestUrls) -> Callable[[], list[tuple[Any, ...]]]:
    def ask() -> list[tuple[Any, ...]]:
        with psycopg.connect(database_urls.admin) as connection:
            query = b"SELECT external_id, event, body, installation, subject, state FROM deliveries ORDER BY id"
            return connection.execute(query).fetchall()

    return ask


@pytest.fixture
async def send(system: SystemDatabase) -> AsyncIterator[Send]:
    async with serving(lambda new: store(system, new)) as client:
        yield sender(client)


def serving(keep: Keep, **options: Any) -> httpx.AsyncClient:
    endpoint = WebhookEndpoint(Secrets(SECRET, OLD), keep, API, **options)
    return httpx.AsyncClient(transport=httpx.ASGITransport(webhook_app(endpoint)), base_url="http://test")


def headers_for(body: bytes, **changes: str | None) -> dict[str, str]:
    whole: dict[str, str | None] = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "issues",
        "X-GitHub-Delivery": DELIVERY,
        "X-Hub-Signature-256": sign(SECRET, body),
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    return {name: value for name, value in whole.items() if value is not None}


def sender(client: httpx.AsyncClient) -> Send:
    async def post(body: bytes | str = BODY, **changes: str | None) -> httpx.Response:
        raw = body.encode() if isinstance(body, str) else body
        return await client.post(PATH, content=raw, headers=headers_for(raw, **changes))

    return post


async def test_a_signed_delivery_is_stored_and_answered_at_once(send: Send, rows):
    answer = await send()
    assert (answer.status_code, answer.json()) == (202, {"status": "stored", "delivery": DELIVERY})
    assert rows() == [(DELIVERY, "issues", BODY.encode(), 3, "5#7", "received")]


async def test_repeated_and_replayed_it_is_taken_and_leaves_no_second_row(send: Send, rows):
    await send()
    for changes in ({}, {"X_GitHub_Delivery": "another"}, {"X_GitHub_Event": "push", "X_GitHub_Delivery": "third"}):
        answer = await send(**changes)
        assert (answer.status_code, answer.json()["status"]) == (202, "repeated")
    assert len(rows()) == 1


async def test_the_secret_before_still_signs(send: Send, rows):
    assert (await send(X_Hub_Signature_256=sign(OLD, BODY.encode()))).status_code == 202
    assert len(rows()) == 1


@pytest.mark.parametrize(
    "signature",
    [None, "", "sha256=" + "0" * 64, sign("some other secret, as long", BODY.encode()), sign(SECRET, b"{}")],
    ids=["unsigned", "empty", "made up", "another's secret", "another body's"],
)
async def test_unsigned_or_forged_it_is_refused_and_leaves_no_row(send: Send, rows, signature: str | None):
    answer = await send(X_Hub_Signature_256=signature)
    assert (answer.status_code, answer.json()["code"]) == (401, "bad_signature")
    assert answer.headers["content-type"] == "application/problem+json"
    assert rows() == []


async def test_sha1_alone_is_no_signature(send: Send, rows):
    answer = await send(X_Hub_Signature_256=None, X_Hub_Signature="sha1=" + "0" * 40)
    assert answer.status_code == 401


async def test_a_form_is_taken_with_the_signature_of_its_own_bytes(send: Send, rows):
    form = "application/x-www-form-urlencoded; charset=utf-8"
    text = BODY.replace("labeled", "ü & more=+")
    answer = await send("payload=" + quote(text), Content_Type=form)
    assert answer.status_code == 202
    assert rows()[0][2] == text.encode()
    assert (await send(text, X_GitHub_Delivery="as-json")).json()["status"] == "repeated"


@pytest.mark.parametrize(
    ("body", "changes", "status", "code"),
    [
        ("{", {}, 400, "bad_json"),
        ("", {}, 400, "bad_json"),
        ("[]", {}, 400, "bad_json"),
        ("NaN", {}, 400, "bad_json"),
        (b"\xff{}", {}, 400, "bad_json"),
        ('{"a": "\\ud800"}', {}, 400, "bad_json"),
        ('{"a":' * 100_000, {}, 400, "bad_json"),
        ('{"a": 1' + "0" * 10_000 + "}x", {}, 400, "bad_json"),
        (BODY, {"Content_Type": "text/plain"}, 415, "unsupported_content_type"),
        (BODY, {"Content_Type": None}, 415, "unsupported_content_type"),
        (BODY, {"Content_Type": "application/x-www-form-urlencoded"}, 400, "bad_form"),
        ("payload=%FF", {"Content_Type": "application/x-www-form-urlencoded"}, 400, "bad_form"),
        ("payload={}&payload={}", {"Content_Type": "application/x-www-form-urlencoded"}, 400, "bad_form"),
        ("payload=ü", {"Content_Type": "application/x-www-form-urlencoded"}, 400, "bad_form"),
        ("a=1&" * 100, {"Content_Type": "application/x-www-form-urlencoded"}, 400, "bad_form"),
        (BODY, {"X_GitHub_Event": None}, 400, "bad_headers"),
        (BODY, {"X_GitHub_Event": "Robert'); DROP"}, 400, "bad_headers"),
        (BODY, {"X_GitHub_Delivery": None}, 400, "bad_headers"),
        (BODY, {"X_GitHub_Delivery": "x" * 101}, 400, "bad_headers"),
    ],
)
async def test_what_is_malformed_is_refused_with_a_sentence_and_leaves_no_row(
    send: Send, rows, body: str | bytes, changes: dict[str, str | None], status: int, code: str
):
    answer = await send(body, **changes)
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert len(problem["detail"]) > 20
    assert rows() == []


async def test_odd_values_in_the_payload_are_no_trouble(send: Send, rows):
    odd = {
        "installation": {"id": 10**30},
        "repository": {"id": True},
        "issue": [],
        "ref": "refs/heads/a\x00b" + "x" * 5000,
        "big": 10**4000,
    }
    assert (await send(json.dumps(odd))).status_code == 202
    push = {"repository": {"id": 5}, "ref": "refs/heads/a\x00b" + "x" * 5000}
    assert (await send(json.dumps(push), X_GitHub_Delivery="push")).status_code == 202
    first, second = rows()
    assert first[3:5] == (None, None)
    assert second[4].startswith("5@a\ufffdbxxx")


async def test_only_post_is_answered_and_only_there(system: SystemDatabase):
    async with serving(lambda new: store(system, new)) as client:
        assert (await client.get(PATH)).status_code == 405
        assert (await client.post("/webhooks/other")).status_code == 404


class Sender:
    """A client that counts how much of its body is asked for."""

    def __init__(self, *chunks: bytes, then: str = "http.request", **headers: str | None) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._then = then
        self.asked = 0
        self.status: int | None = None
        self.headers: dict[bytes, bytes] = {}
        raw = headers_for(b"", **headers)
        fields = [(name.lower().encode(), value.encode()) for name, value in raw.items()]
        self.scope = {"type": "http", "method": "POST", "path": PATH, "headers": fields, "query_string": b""}

    async def receive(self) -> dict[str, Any]:
        chunk = next(self._chunks, None)
        if chunk is None:
            if self._then == "silence":
                await asyncio.Event().wait()
            return {"type": self._then, "more_body": False}
        self.asked += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])

    async def to(self, endpoint: WebhookEndpoint) -> int | None:
        await webhook_app(endpoint)(self.scope, self.receive, self.send)
        return self.status


async def never(_: NewDelivery) -> Stored:
    raise AssertionError("nothing is to be stored")


def endpoint(keep: Keep = never, **options: int) -> WebhookEndpoint:
    return WebhookEndpoint(Secrets(SECRET), keep, API, **options)


async def test_26_megabytes_are_refused_before_a_byte_is_read():
    sender = Sender(b"x" * 1000, Content_Length=str(26_000_000))
    assert await sender.to(endpoint()) == 413
    assert sender.asked == 0
    assert sender.headers[b"connection"] == b"close"


async def test_26_megabytes_of_unknown_length_are_read_no_further_than_the_cap():
    chunk = 65_536
    sender = Sender(*[b"x" * chunk] * (26_000_000 // chunk + 1))
    assert await sender.to(endpoint()) == 413
    assert sender.asked <= BODY_MOST + chunk


async def test_of_an_unsigned_delivery_not_a_byte_is_read():
    sender = Sender(b"x" * 1000, X_Hub_Signature_256=None)
    assert await sender.to(endpoint()) == 401
    assert sender.asked == 0


async def test_bodies_that_come_slowly_hold_no_more_memory_than_all_may():
    small = endpoint(most=100, memory=150)
    holding = Sender(b"x" * 100, then="silence")
    held = asyncio.ensure_future(holding.to(small))
    while holding.asked < 100:
        await asyncio.sleep(0)
    second = Sender(b"x" * 60)
    assert await second.to(small) == 503
    assert second.headers[b"retry-after"] == b"10"
    held.cancel()
    with pytest.raises(asyncio.CancelledError):
        await held
    assert await Sender(b"x" * 60).to(small) == 401  # there is room again, and it is not signed


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "READ_SECONDS", 0.01)
    assert await Sender(b"x", then="silence").to(endpoint()) == 408


async def test_a_client_that_leaves_gets_no_answer():
    assert await Sender(b"x", then="http.disconnect").to(endpoint()) is None


@pytest.mark.parametrize("hangs", [False, True])
async def test_without_a_database_the_answer_is_to_deliver_it_again(hangs: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(app, "STORE_SECONDS", 0.05)

    async def keep(_: NewDelivery) -> Stored:
        if hangs:
            await asyncio.Event().wait()
        raise UnavailableError("Postgres did not answer.")

    async with serving(keep) as client:
        answer = await sender(client)()
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert answer.headers["retry-after"] == "10"
