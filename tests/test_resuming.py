"""A job whose machine dies while it codes ends on another one, and pays for nothing again that was answered."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from aicd_core.testing.databases import TestUrls
from aicd_core.testing.journaled import AGENT, DIARY, NAME, Script, journaled_issue
from aicd_core.testing.paid_model import PRICE, PaidModel
from aicd_core.testing.plugins import offer_agent
from histories import git

AICD = Path(sys.executable).with_name("aicd")


@dataclass
class Machines:
    """Data directories that share a database, a repository and a model."""

    root: Path
    source: Path
    urls: TestUrls
    model: PaidModel

    def begin(self, machine: str, issue: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts `aicd run` on a machine, in a process group of its own."""
        given = ("--agent", NAME, "--issue", issue, "--json", *arguments)
        command = [AICD, "run", "--repo", self.source, "--data-dir", self.root / machine, *given]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.environment(), stdout=pipe, stderr=pipe, start_new_session=True)

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "PYTHONPATH": str(self.root / "plugins"),
            "AICD_DATABASE_URL": self.urls.app,
            "AICD_SYSTEM_DATABASE_URL": self.urls.system,
        }

    def end(self, process: subprocess.Popen[bytes]) -> dict:
        """What a run printed."""
        stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr.decode()
        return json.loads(stdout)

    def replay(self, machine: str, job_id: str) -> dict:
        """What `aicd replay` says of a job, whose results must all be identical."""
        command = [AICD, "replay", job_id, "--data-dir", self.root / machine, "--json"]
        done = subprocess.run(command, env=self.environment(), capture_output=True, timeout=120)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        return json.loads(done.stdout)

    def ask(self, query: str) -> list[tuple]:
        with psycopg.connect(self.urls.admin) as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture
def machines(tmp_path: Path, database_urls: TestUrls) -> Iterator[Machines]:
    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "-q")
    (source / ".aicd.yml").write_text("version: 1\ntests: []\n")
    git(source, "add", ".")
    git(source, "commit", "-qm", "Begin")
    offer_agent(tmp_path / "plugins", NAME, AGENT)
    with PaidModel(tmp_path / "paid.jsonl") as model:
        yield Machines(tmp_path, source, database_urls, model)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it did not come to that within a minute"
        time.sleep(0.02)


def kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)


def paid_numbers(diary: bytes) -> list[int]:
    return [json.loads(line.split(b" ", 2)[2])["paid"] for line in diary.splitlines()]


@pytest.mark.parametrize("held", [3, 6])
def test_a_job_killed_in_the_middle_of_a_round_ends_on_another_machine(machines: Machines, held: int):
    """Calls: 1 plan, 2 to 5 code in round 1, 6 review. The call that is held was in flight, and is paid again."""
    issue = journaled_issue("Keep a diary", Script(machines.model.url, turns=4))
    machines.model.hold_from(held)
    first = machines.begin("first", issue)
    wait_until(lambda: len(machines.model.calls()) == held, first)
    kept = machines.ask("SELECT history FROM checkpoints ORDER BY number")
    assert len(kept) == held - 2
    kill(first)
    machines.model.release()
    report = machines.end(machines.begin("second", issue))
    assert report["state"] == "pr_open"
    diary = git(machines.source, "show", f"{report['branch']}:{DIARY}")
    # What was paid before the kill is in the diary, and what was in flight then is not.
    assert paid_numbers(diary) == [number for number in range(2, 7 if held < 6 else 6) if number != held]
    history = b"".join(row[0] for row in machines.ask("SELECT history FROM checkpoints ORDER BY number"))
    assert history == diary
    asked = Counter(call.request for call in machines.model.calls())
    assert sorted(asked.values()) == [1, 1, 1, 1, 1, 2]
    assert asked[machines.model.calls()[held - 1].request] == 2
    assert report["usage"]["cost_usd"] == 6 * PRICE.cost_micro_usd / 1_000_000
    assert machines.ask("SELECT count(*) FROM usage_entries") == [(6,)]


def test_a_second_round_goes_on_from_the_tree_of_the_first_and_its_own_checkpoints(machines: Machines):
    """Calls: 1 plan, 2 and 3 round 1, 4 rejects, 5 and 6 round 2, 7 approves."""
    issue = journaled_issue(
        "Keep a diary", Script(machines.model.url, turns=2, rejections=1, command=f"chmod +x {DIARY}")
    )
    machines.model.hold_from(6)
    first = machines.begin("first", issue)
    wait_until(lambda: len(machines.model.calls()) == 6, first)
    kill(first)
    machines.model.release()
    report = machines.end(machines.begin("second", issue))
    diary = git(machines.source, "show", f"{report['branch']}:{DIARY}")
    assert [line.split(b" ")[:2] for line in diary.splitlines()] == [
        [b"1", b"0"],
        [b"1", b"1"],
        [b"2", b"0"],
        [b"2", b"1"],
    ]
    assert paid_numbers(diary) == [2, 3, 5, 7]
    assert git(machines.source, "ls-tree", report["branch"], DIARY).startswith(b"100755 ")
    assert len(machines.model.calls()) == 8
    # A third machine makes the whole job again as if it had never been cut off, and pays for nothing.
    replayed = machines.replay("third", report["job_id"])
    assert (replayed["identical"], replayed["calls"]) == (True, 7)
    assert len(machines.model.calls()) == 8
