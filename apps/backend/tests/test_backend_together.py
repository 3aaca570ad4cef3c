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

AICD = Path(__file__).parents[3] / ".venv" / "bin" / "aicd"
PATIENCE = 90.0


def environment(data: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(data.parent), "AICD_DATA_DIR": str(data)}


def aicd(data: Path, *arguments: str) -> str:
    done = subprocess.run([AICD, *arguments], env=environment(data), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def up(data: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and the address that it says it listens on."""
    command = [str(AICD), "up", "--port", "0"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(data), **streams, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    yield process, found[0]
                    break
            else:
                raise AssertionError("it ended before it listened")
        finally:
            process.kill()


def test_it_answers_and_works_on_jobs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    data, repo = tmp_path / "data", make_sample(tmp_path / "sample")
    issue = tmp_path / "issue.md"
    issue.write_text(ISSUE)
    with up(data) as (process, address):
        assert httpx.get(f"{address}/readyz").status_code == 200
        assert process.stdout is not None
        headers = {"Authorization": f"Bearer {process.stdout.readline().strip()}"}
        assert httpx.get(f"{address}/v1/organizations/local", headers=headers).status_code == 200
        aicd(data, "run", "--detach", "--repo", str(repo), "--issue-file", str(issue))
        deadline = time.monotonic() + PATIENCE
        while "pr_open" not in aicd(data, "jobs"):
            assert time.monotonic() < deadline, aicd(data, "jobs")
            time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        process.stderr.read()
        assert process.wait(PATIENCE) == 0


def test_a_port_that_is_taken_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data) as (_, address):
        port = address.rpartition(":")[2]
        command = [str(AICD), "up", "--port", port]
        done = subprocess.run(command, env=environment(data), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert f"127.0.0.1:{port} cannot be listened on" in done.stderr
    assert "Traceback" not in done.stderr
