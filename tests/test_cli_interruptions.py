"""`aicd run` that is stopped, killed, or left without a reader, a stream or its database."""

import json
import shlex
import signal
import subprocess
import time
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from histories import git
from shops import ISSUE, SECONDS, Shop, shop, slow, start, start_and_wait_for

__all__ = ["shop"]


def sleepers() -> set[str]:
    found = subprocess.run(["pgrep", "-f", f"^sleep {SECONDS}"], capture_output=True, text=True)
    return set(found.stdout.split())


def test_ctrl_c_cancels_the_job_and_ends_everything_it_started(shop: Shop):
    slow(shop)
    before, others = shop.fingerprint(), sleepers()
    process = start_and_wait_for(shop, "$ sleep")
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=20)
    found = json.loads(stdout)
    assert (process.returncode, found["state"]) == (130, "cancelled")
    assert found["reason"] == "Stopped by the person who ran it."
    assert sleepers() <= others
    assert shop.fingerprint() == before
    assert b"aicd/" not in git(shop.source, "branch", "--all")
    assert list((shop.data / "jobs").iterdir()) == []


@pytest.mark.parametrize("line", ["planning", "coding", "$ sleep"])
def test_after_a_kill_the_same_command_goes_on_with_the_same_job(shop: Shop, line: str):
    slow(shop)
    before, others = shop.fingerprint(), sleepers()
    process = start_and_wait_for(shop, line)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 10
    while not sleepers() <= others and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sleepers() <= others
    assert shop.fingerprint() == before
    (killed,) = json.loads(shop.run("jobs", "--json").stdout)["jobs"]
    again = start_and_wait_for(shop, "$ sleep")
    again.send_signal(signal.SIGTERM)
    found = json.loads(again.communicate(timeout=20)[0])
    assert (found["job_id"], found["state"]) == (killed["job_id"], "cancelled")


def test_a_reader_that_goes_away_does_not_end_the_job(shop: Shop):
    command = " ".join(shlex.quote(word) for word in shop.command("run", "--issue", ISSUE))
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -1"], env=shop.environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(shop.run("jobs", "--json").stdout)["jobs"][0]["state"] == "pr_open"


def test_an_error_in_the_middle_of_a_job_names_it(shop: Shop):
    slow(shop, seconds=6)
    process = start_and_wait_for(shop, "$ sleep")
    with psycopg.connect(shop.urls.admin, autocommit=True) as connection:
        connection.execute("ALTER TABLE jobs RENAME TO hidden")
        stdout, stderr = process.communicate(timeout=60)
        connection.execute("ALTER TABLE hidden RENAME TO jobs")
    found = json.loads(stdout)
    assert (process.returncode, found["state"]) == (1, None)
    assert UUID(found["job_id"])
    assert "resumed" in stderr


def test_what_blocks_before_the_work_begins_is_ended_by_ctrl_c(shop: Shop):
    command = shop.command("run", "--issue-file", "-", "--json")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, env=shop.environment(), text=True, **pipes)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.returncode == 130
    process.communicate()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_while_the_program_loads_is_a_sentence_and_an_object(shop: Shop, sign: signal.Signals):
    process = start(shop)
    while "pydantic_core" not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.001)  # one of the libraries that take long to load
    process.send_signal(sign)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert json.loads(stdout)["code"] == "cancelled"


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full", "<&-"])
def test_a_stream_that_cannot_be_written_changes_nothing(shop: Shop, closed: str):
    command = " ".join(shlex.quote(word) for word in shop.command("run", "--issue", ISSUE, "--json"))
    done = subprocess.run(
        ["bash", "-c", f"{command} {closed}"], env=shop.environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["state"] == "pr_open"
