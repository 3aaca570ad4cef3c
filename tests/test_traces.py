"""One trace from a webhook to the pull request, across processes, and logs that say where in it they were written."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from aicd_core.jobs.machine import JobState
from aicd_core.testing.chaos.installation import AicdProcess, Installation, installation, wait_until
from aicd_core.testing.chaos.repository import list_jobs
from aicd_core.testing.chaos.work import Order, place
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.journaled import NAME, Script, journaled_issue
from aicd_core.testing.paid_model import PRICE
from aicd_github.testing.messages import Messages
from aicd_github.webhooks.app import PATH
from collector import Collector, Seen, collecting
from github_town import GitHub, serving

SECRET = "long enough to be a secret"
WIRE_FORMAT = "google/_upb"
"""The compiled part of what OTLP is written with."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@contextmanager
def world(root: Path, urls: TestUrls, *, with_redis: bool) -> Iterator[tuple[Installation, GitHub]]:
    with installation(root, urls, with_redis=with_redis) as made:
        script = Script(made.model.url, turns=2, command="test -f diary.txt")
        with serving(root / "hub", body=journaled_issue("x", script)) as github:
            made.settings |= {
                **github.settings(),
                "AICD_GITHUB_WEBHOOK_SECRET": SECRET,
                "AICD_AGENT": NAME,
                "AICD_LOG_FORMAT": "auto",
            }
            yield made, github


def stop(*processes: AicdProcess) -> None:
    for process in processes:
        process.signal(signal.SIGTERM)
    for process in processes:
        assert process.end() == 0, process.said()


def lines(process: AicdProcess) -> list[dict[str, Any]]:
    """The log, every line of it."""
    return [json.loads(line) for line in process.said().splitlines()]


def loaded(process: AicdProcess) -> str:
    return Path(f"/proc/{process.pid}/maps").read_text()


def opened(made: Installation) -> bool:
    return [job.status.state for job in list_jobs(made.urls.admin)] == [JobState.PR_OPEN]


@pytest.mark.parametrize("with_redis", [False, True], ids=["queue in Postgres", "queue in Redis"])
def test_a_webhook_and_its_pull_request_are_one_trace(
    tmp_path: Path, database_urls: TestUrls, collector: Collector, *, with_redis: bool
):
    (tmp_path / "hub").mkdir()
    with world(tmp_path, database_urls, with_redis=with_redis) as (made, github):
        made.settings["AICD_OTLP_ENDPOINT"] = collector.url
        serve, worker = made.begin("web", "github", "serve", "--port", "0"), made.worker("first")
        wait_until(lambda: "taking deliveries" in serve.said() and "ready" in worker.said(), "both processes")
        found = re.search(rf"http://127\.0\.0\.1:\d+{PATH}", serve.said())
        assert found is not None, serve.said()
        assert httpx.get(found[0].replace(PATH, "/healthz")).status_code == 200
        label = Messages(github.server, github.repo, github.installed).labeled(github.repo.issues[1], "aicd", "alice")
        assert httpx.post(found[0], content=label.body, headers=label.headers(SECRET), timeout=60).status_code == 202
        wait_until(lambda: opened(made), f"a pull request; {worker.said()[-2000:]}")
        paid = len(made.model.calls())
        (job,) = list_jobs(made.urls.admin)
        stop(serve, worker)
    (pull,) = collector.named("pull request")
    spans = [seen for seen in collector.spans() if seen.trace == pull.trace]
    check_the_trace(spans)
    check_the_calls([seen for seen in spans if seen.name == "chat paid"], paid)
    assert not any("healthz" in seen.name for seen in collector.spans())
    told = [line for line in lines(worker) if line.get("job") == str(job.id) and line["logger"] == "aicd.jobs"]
    assert any("coding (round 1)" in line["event"] for line in told)
    at_work = [line for line in told if "trace_id" in line]
    assert {line["trace_id"] for line in at_work} == {pull.trace}
    assert {line["span_id"] for line in at_work} <= {bytes(seen.span.span_id).hex() for seen in spans}
    assert {line["org"] for line in at_work} == {seen.told["aicd.org"] for seen in spans if seen.name == "work"}


def check_the_trace(spans: list[Seen]) -> None:
    """One root, whose descendants all the others are; of two processes."""
    known = {bytes(seen.span.span_id) for seen in spans}
    (root,) = [seen for seen in spans if bytes(seen.span.parent_span_id) not in known]
    assert not root.span.parent_span_id
    assert (root.name, root.service) == (f"POST {PATH}", "aicd-webhooks")
    assert root.told["http.response.status_code"] == 202
    by_worker = {seen.name for seen in spans if seen.service == "aicd-worker"}
    assert by_worker == {
        *("delivery issues", "intake", "work", "step planning", "step coding", "step reviewing"),
        *("chat paid", "command", "publish", "git push", "pull request"),
    }
    parents = {bytes(seen.span.span_id): seen.name for seen in spans}
    around = {(seen.name, parents.get(bytes(seen.span.parent_span_id))) for seen in spans}
    assert around >= {
        ("delivery issues", root.name),
        ("intake", "delivery issues"),
        ("work", "intake"),
        ("step coding", "work"),
        ("chat paid", "step coding"),
        ("command", "step coding"),
        ("publish", "step reviewing"),
        ("git push", "publish"),
        ("pull request", "publish"),
    }
    assert {
        seen.told["process.exit.code"] for seen in spans if seen.told.get("aicd.command") == "test -f diary.txt"
    } == {0}


def check_the_calls(calls: list[Seen], paid: int) -> None:
    """In the words of OpenTelemetry's conventions."""
    assert len(calls) == paid
    assert calls[0].span.kind == 3, "a client's"
    told = calls[0].told
    assert (told["gen_ai.operation.name"], told["gen_ai.request.model"]) == ("chat", "paid")
    assert told["gen_ai.provider.name"] == "_OTHER", "which the conventions require, and this agent does not name"
    assert told["gen_ai.usage.output_tokens"] == PRICE.output_tokens
    read = PRICE.input_tokens + PRICE.cached_input_tokens + PRICE.cache_write_tokens
    assert told["gen_ai.usage.input_tokens"] == read


async def test_a_collector_that_never_answers_holds_nothing_up(tmp_path: Path, database_urls: TestUrls):
    with installation(tmp_path, database_urls) as made, socket.create_server(("127.0.0.1", 0)) as silent:
        made.settings |= {"AICD_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        await place(made, [Order(journaled_issue("Keep a diary", Script(made.model.url)))])
        worker = made.worker("first")
        wait_until(lambda: opened(made), "a pull request")
        stop(worker)
        assert "they are lost" in worker.said()


async def test_without_a_ratio_nothing_is_kept_and_without_a_collector_nothing_is_traced(
    tmp_path: Path, database_urls: TestUrls, collector: Collector
):
    with installation(tmp_path, database_urls) as made:
        made.settings |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "AICD_TRACE_RATIO": "0"}
        await place(made, [Order(journaled_issue("Keep a diary", Script(made.model.url)))])
        worker = made.worker("first")
        wait_until(lambda: opened(made), "a pull request")
        assert WIRE_FORMAT in loaded(worker)
        stop(worker)
        assert not collector.bodies
        del made.settings["OTEL_EXPORTER_OTLP_ENDPOINT"]
        other = made.worker("second")
        wait_until(lambda: "ready" in other.said(), "a worker")
        assert WIRE_FORMAT not in loaded(other), "nor is the SDK loaded"
        stop(other)
