"""`aicd github serve` takes deliveries in and `aicd worker` handles them: real processes, sockets and servers."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from aicd_core.ids import new_uuid
from aicd_core.testing.chaos.installation import AICD, AicdProcess, Installation, installation, wait_until
from aicd_core.testing.databases import TestUrls
from aicd_github.webhooks.app import PATH
from aicd_github.webhooks.signature import sign

SECRET = "long enough to be a secret"
ACCOUNT = {"id": 2, "login": "Octocat", "type": "Organization"}


def begin_to_serve(made: Installation) -> tuple[AicdProcess, str]:
    """The process, and the address that it says it takes deliveries at."""
    made.settings |= {"AICD_GITHUB_WEBHOOK_SECRET": SECRET, "AICD_GITHUB_ACCOUNTS": "octocat"}
    server = made.begin("web", "github", "serve", "--port", "0")
    wait_until(lambda: "taking deliveries" in server.said() or server.process.poll() is not None, "an open port")
    found = re.search(rf"http://127\.0\.0\.1:\d+{PATH}", server.said())
    assert found is not None, server.said()
    return server, found[0]


def deliver(address: str, event: str, payload: dict[str, Any], delivery: str = "") -> httpx.Response:
    body = json.dumps(payload).encode()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery or str(new_uuid()),
        "X-Hub-Signature-256": sign(SECRET, body),
    }
    return httpx.post(address, content=body, headers=headers, timeout=60)


def created(number: int) -> dict[str, Any]:
    repositories = [{"id": number, "full_name": f"octocat/repo-{number}"}]
    return {"action": "created", "installation": {"id": number, "account": ACCOUNT}, "repositories": repositories}


def ask(made: Installation, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(made.urls.admin) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.mark.parametrize("with_redis", [False, True], ids=["queue in postgres", "queue in redis"])
def test_what_is_delivered_is_handled_by_a_worker(tmp_path: Path, database_urls: TestUrls, with_redis: bool):
    with installation(tmp_path, database_urls, with_redis=with_redis) as made:
        server, address = begin_to_serve(made)
        worker = made.worker("worker", "--queues", "deliveries")
        wait_until(lambda: "ready" in worker.said(), "a worker")
        for number in range(1, 6):
            assert deliver(address, "installation", created(number)).json()["status"] == "stored"
        # No worker has a turn at chores here, so no sweep rings: the bell alone brings the worker.
        done = "SELECT count(*) FROM repositories WHERE source LIKE 'https://github.com/octocat/repo-%'"
        wait_until(lambda: ask(made, done) == [(5,)], "five connected repositories")
        for process in (server, worker):
            process.signal(signal.SIGTERM)
            assert process.end() == 0, process.said()
        assert ask(made, "SELECT DISTINCT state FROM deliveries") == [("handled",)]
        assert SECRET not in server.said() + worker.said()


def test_a_delivery_whose_ring_was_lost_is_found_by_the_sweep(tmp_path: Path, database_urls: TestUrls):
    with installation(tmp_path, database_urls) as made:
        server, address = begin_to_serve(made)
        assert deliver(address, "installation", created(1)).status_code == 202
        server.signal(signal.SIGTERM)
        assert server.end() == 0
        with psycopg.connect(made.urls.admin, autocommit=True) as connection:
            connection.execute(b"DELETE FROM bullmq.job WHERE queue = 'aicd-deliveries'")
        made.worker("worker", "--queues", "deliveries,chores")
        wait_until(lambda: ask(made, "SELECT state FROM deliveries") == [("handled",)], "a handled delivery")


def test_while_postgres_is_away_github_is_asked_to_deliver_again(tmp_path: Path):
    with installation(tmp_path) as made:
        _, address = begin_to_serve(made)
        assert deliver(address, "ping", {"zen": "1"}).status_code == 202
        health = [address.replace(PATH, path) for path in ("/healthz", "/readyz")]
        assert [httpx.get(path).status_code for path in health] == [200, 200]
        made.kill_postgres()
        assert [httpx.get(path).status_code for path in health] == [200, 503]
        assert deliver(address, "ping", {"zen": "2"}, "again").status_code == 503
        made.postgres.start()
        answers = []

        def taken() -> bool:
            answers.append(deliver(address, "ping", {"zen": "2"}, "again"))
            return answers[-1].status_code == 202

        wait_until(taken, "a delivery that is taken")
        assert answers[-1].json()["status"] == "stored"
        assert ask(made, "SELECT count(*) FROM deliveries") == [(2,)]


def test_a_body_of_26_megabytes_is_refused_over_a_real_connection(tmp_path: Path, database_urls: TestUrls):
    with installation(tmp_path, database_urls) as made:
        server, address = begin_to_serve(made)
        before = resident(server.pid)

        def chunks() -> Iterator[bytes]:
            yield from [b" " * 65_536] * (26_000_000 // 65_536 + 1)

        headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "x", "X-Hub-Signature-256": "sha256=" + "0" * 64}
        for content in (b" " * 26_000_000, chunks()):
            with suppress(httpx.WriteError):  # it answered and closed while the rest was on its way
                assert httpx.post(address, content=content, headers=headers, timeout=60).status_code == 413
        assert deliver(address, "ping", {"zen": "1"}).status_code == 202
        assert resident(server.pid) - before < 100_000_000
        assert ask(made, "SELECT count(*) FROM deliveries") == [(1,)]


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("secret", "said"), [(None, "AICD_GITHUB_WEBHOOK_SECRET is not set"), ("short", "at least 16")]
)
def test_without_a_secret_nothing_is_served(tmp_path: Path, secret: str | None, said: str):
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AICD_DATA_DIR": str(tmp_path / "data")}
    if secret is not None:
        environment["AICD_GITHUB_WEBHOOK_SECRET"] = secret
    done = subprocess.run([AICD, "github", "serve"], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (2, True, False)
    assert not (tmp_path / "data").exists()
