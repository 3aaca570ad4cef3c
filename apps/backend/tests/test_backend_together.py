"""`aicd up`: API server and worker in one real process, on an embedded database."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from aicd_cli.sample import ISSUE, make_sample
from aicd_core.testing.chaos.installation import installation

AICD = Path(__file__).parents[3] / ".venv" / "bin" / "aicd"
PATIENCE = 90.0


def environment(data: Path, **settings: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(data.parent), "AICD_DATA_DIR": str(data), **settings}


def aicd(data: Path, *arguments: str) -> str:
    done = subprocess.run([AICD, *arguments], env=environment(data), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def started(data: Path, **settings: str) -> Iterator["subprocess.Popen[str]"]:
    command = [str(AICD), "up", "--port", "0"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(data, **settings), **streams, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until_said(process: "subprocess.Popen[str]", words: str) -> list[str]:
    """What it said until these words, with them."""
    assert process.stderr is not None
    said: list[str] = []
    for line in process.stderr:
        said.append(line)
        if words in line:
            return said
    raise AssertionError(f"it ended without {words}: {''.join(said)}")


def address_in(line: str) -> str:
    (found,) = re.findall(r"listening on (http://127\.0\.0\.1:\d+)", line)
    return found


@contextmanager
def up(data: Path, said: list[str] | None = None, **settings: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The process and the address that it says it listens on; what it says until then goes to `said`."""
    with started(data, **settings) as process:
        lines = until_said(process, "listening on")
        if said is not None:
            said += lines
        yield process, address_in(lines[-1])


def ends_well(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    process.stderr.read()
    assert process.wait(PATIENCE) == 0


def test_it_answers_and_works_on_jobs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    data, repo = tmp_path / "data", make_sample(tmp_path / "sample")
    issue = tmp_path / "issue.md"
    issue.write_text(ISSUE)
    said: list[str] = []
    with up(data, said, AICD_METRICS_PORT="0") as (process, address):
        (metrics,) = re.findall(r"metrics at (http://127\.0\.0\.1:\d+/metrics)", "".join(said))
        assert httpx.get(f"{address}/readyz").status_code == 200
        assert process.stdout is not None
        headers = {"Authorization": f"Bearer {process.stdout.readline().strip()}"}
        assert httpx.get(f"{address}/v1/organizations/local", headers=headers).status_code == 200
        aicd(data, "run", "--detach", "--repo", str(repo), "--issue-file", str(issue))
        deadline = time.monotonic() + PATIENCE
        while "pr_open" not in aicd(data, "jobs"):
            assert time.monotonic() < deadline, aicd(data, "jobs")
            time.sleep(0.5)
        assert httpx.get(f"{address}/metrics").status_code == 404, "figures of all tenants are not on the API's port"
        assert httpx.get(f"{address}/a-secret-path").status_code == 404
        figures = httpx.get(metrics).text
        path = "/v1/organizations/{org}"
        assert f'aicd_http_requests_total{{method="GET",route="{path}",status="200"}} 1.0' in figures
        assert 'aicd_http_requests_total{method="GET",route="unmatched",status="404"} 2.0' in figures
        assert 'aicd_job_transitions_total{event="published",state="pr_open"} 1.0' in figures
        assert 'aicd_jobs{state="pr_open"} 1.0' in figures
        assert "a-secret-path" not in figures
        ends_well(process)


def test_it_waits_for_a_postgres_that_is_away_and_stops_when_told_meanwhile(tmp_path: Path) -> None:
    waiting = "waiting: Postgres did not answer"
    with installation(tmp_path / "installation") as made:
        urls = {"AICD_DATABASE_URL": made.urls.app, "AICD_SYSTEM_DATABASE_URL": made.urls.system}
        made.postgres.stop()
        with started(tmp_path / "stopped", **urls) as process:
            until_said(process, waiting)
            ends_well(process)
        with started(tmp_path / "going on", **urls) as process:
            until_said(process, waiting)
            made.postgres.start()
            address = address_in(until_said(process, "listening on")[-1])
            assert httpx.get(f"{address}/readyz").status_code == 200
            ends_well(process)


def test_a_port_that_is_taken_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data) as (process, address):
        port = address.rpartition(":")[2]
        command = [str(AICD), "up", "--port", port]
        done = subprocess.run(command, env=environment(data), capture_output=True, text=True, timeout=PATIENCE)
        ends_well(process)
    assert done.returncode == 1
    assert f"127.0.0.1:{port} cannot be listened on" in done.stderr
    assert "Traceback" not in done.stderr
