"""The real process on a loopback port, with a real database behind it."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from aicd_backend.server import main
from aicd_core.db.database import Database
from aicd_core.errors import UnavailableError
from aicd_core.testing.databases import TestUrls

DEAD_DATABASE = "postgresql://someone:" + "hunter" + "2@127.0.0.1:1/none"
DEAD_URLS = TestUrls(DEAD_DATABASE, DEAD_DATABASE, DEAD_DATABASE)


@contextmanager
def running_server(
    urls: TestUrls, log: Path, said: list[str] | None = None, **settings: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process and its address, once it listens; what it says until then goes to `said`."""
    command = [sys.executable, "-W", "error", "-m", "aicd_backend", "--port", "0"]
    environment = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
    environment |= {"AICD_DATABASE_URL": urls.app, "AICD_SYSTEM_DATABASE_URL": urls.system, **settings}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if said is not None:
                    said.append(line)
                if found := re.search(r"listening on (http://127\.0\.0\.1:\d+)", line):
                    yield process, found[1]
                    break
            else:
                raise AssertionError("the server ended before it listened")
            log.write_text(process.stderr.read())
        finally:
            process.kill()


def test_it_serves_and_ends_cleanly_when_told_to(database_urls: TestUrls, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running_server(database_urls, log) as (process, address):
        health, ready = httpx.get(f"{address}/healthz"), httpx.get(f"{address}/readyz")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert (health.status_code, ready.status_code) == (200, 200)
    assert "server" not in health.headers
    assert "Traceback" not in log.read_text()


def test_without_a_database_it_is_alive_not_ready_and_keeps_the_password_to_itself(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running_server(DEAD_URLS, log) as (process, address):
        health, ready = httpx.get(f"{address}/healthz"), httpx.get(f"{address}/readyz")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    assert (health.status_code, ready.status_code) == (200, 503)
    written = log.read_text()
    assert "Not ready: Postgres did not answer" in written
    assert "hunter2" not in written + ready.text


def test_a_refused_upload_is_answered_and_its_connection_closed(tmp_path: Path) -> None:
    with running_server(DEAD_URLS, tmp_path / "log") as (process, address):
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        process.send_signal(signal.SIGTERM)
        process.wait(10)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code": "body_too_large"' in answer


def test_figures_are_told_on_a_port_of_their_own(database_urls: TestUrls, tmp_path: Path) -> None:
    said: list[str] = []
    with running_server(database_urls, tmp_path / "log", said, AICD_METRICS_PORT="0") as (process, address):
        (metrics,) = re.findall(r"metrics at (http://127\.0\.0\.1:\d+/metrics)", "".join(said))
        assert httpx.get(f"{address}/healthz").status_code == 200
        assert httpx.get(f"{address}/metrics").status_code == 404
        assert 'aicd_http_requests_total{method="GET",route="/healthz",status="200"} 1.0' in httpx.get(metrics).text
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.parametrize("taken", ["--port", "AICD_METRICS_PORT"])
def test_a_port_that_is_taken_ends_the_start_with_a_sentence(taken: str, database_urls: TestUrls) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        command = [sys.executable, "-m", "aicd_backend", "--port", port if taken == "--port" else "0"]
        environment = {"PATH": os.environ["PATH"], "AICD_DATABASE_URL": database_urls.app}
        environment |= {"AICD_SYSTEM_DATABASE_URL": database_urls.system}
        environment |= {taken: port} if taken != "--port" else {}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert f"127.0.0.1:{port} cannot be listened on" in done.stderr
    assert taken in done.stderr


def test_it_does_not_start_as_a_role_that_no_wall_holds(database_urls: TestUrls) -> None:
    command = [sys.executable, "-m", "aicd_backend", "--port", "0"]
    environment = {"PATH": os.environ["PATH"], "AICD_DATABASE_URL": database_urls.admin}
    environment |= {"AICD_SYSTEM_DATABASE_URL": database_urls.system}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert "bypass row-level security" in done.stderr


async def test_a_database_that_does_not_answer_is_unavailable() -> None:
    database = Database.connect(DEAD_DATABASE)
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1"):
        await database.refuse_unsafe_role()
    await database.close()


@pytest.mark.parametrize(
    ("variables", "arguments", "told"),
    [
        ({}, [], "AICD_SYSTEM_DATABASE_URL is not set"),
        ({"AICD_DATABASE_URL": ""}, [], "AICD_SYSTEM_DATABASE_URL is not set"),
        ({"AICD_DATABASE_URL": DEAD_DATABASE, "AICD_SYSTEM_DATABASE_URL": ""}, [], "is not set"),
        ({"AICD_DATABASE_URL": "hunter" + "2"}, [], "That is not a database URL"),
        ({"AICD_BODY_MAX_BYTES": "hunter" + "2"}, [], "AICD_BODY_MAX_BYTES: "),
        ({"AICD_DATABASE_URL": DEAD_DATABASE}, ["--port", "65536"], "65536 is no port"),
        ({"AICD_DATABASE_URL": DEAD_DATABASE}, ["--port", "http"], "--port"),
    ],
)
def test_wrong_settings_end_the_start_with_a_sentence(
    variables: dict[str, str],
    arguments: list[str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("AICD_DATABASE_URL", raising=False)
    monkeypatch.setenv("AICD_SYSTEM_DATABASE_URL", DEAD_DATABASE if variables.get("AICD_DATABASE_URL") else "")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    written = capsys.readouterr().err
    assert ended.value.code == 2
    assert told in written
    assert "hunter2" not in written
