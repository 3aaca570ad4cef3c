"""A coder's process is killed at a step of a long session: another machine goes on, and nothing answered is paid again.

Every step is tried with `AICD_TEST_EVERY_STEP=1`; otherwise the first, one in the middle and the last.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from aicd_brain.testing.models import ModelServer, Served, serving
from aicd_brain.testing.scripts import Failure, Turn
from aicd_brain.testing.turns import done, planning, reviewing, script, using
from aicd_core.testing.databases import TestUrls
from histories import git

AICD = Path(sys.executable).with_name("aicd")
STEPS = 20
KILLED_AT = range(STEPS) if os.environ.get("AICD_TEST_EVERY_STEP") else (0, 11, STEPS - 1)


def step(number: int) -> Turn:
    """A step that changes the tree, or only looks; what it prints is never the same twice."""
    if number % 4 == 3:
        return using("shell", command=f"date +%s%N; wc -l < greet.txt; echo look {number}")
    return using("shell", command=f"date +%s%N; echo world {number} >> greet.txt")


STEP_TURNS = [step(number) for number in range(STEPS)]


def environment(root: Path, urls: TestUrls, server: ModelServer) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(root),
        "AICD_DATABASE_URL": urls.app,
        "AICD_SYSTEM_DATABASE_URL": urls.system,
        "AICD_ANTHROPIC_BASE_URL": server.url,
        "AICD_ANTHROPIC_API_KEY": "a-key-of-the-tests",
    }


def begin(machine: str, root: Path, source: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    given = ("--agent", "claude", "--issue", "Greet the world", "--json", "--data-dir", root / machine)
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [AICD, "run", "--repo", source, *given], env=env, stdout=pipe, stderr=pipe, start_new_session=True
    )


def end(process: subprocess.Popen[bytes]) -> dict:
    stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == 0, stderr.decode()
    return json.loads(stdout)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it did not come to that within two minutes"
        time.sleep(0.02)


def kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)


def has_come_to(server: ModelServer, turn: int) -> bool:
    return any((one.role, one.turn) == ("coder", turn) for one in server.served())


def kept_replies(urls: TestUrls) -> int:
    """How many of the coder's calls the journal knows."""
    with psycopg.connect(urls.admin) as connection:
        query = b"SELECT count(*) FROM model_calls WHERE step = 'code/1' AND model <> 'observation'"
        return connection.execute(query).fetchall()[0][0]


def identity(served: Served) -> tuple[str, int, int]:
    return served.role, served.conversation, served.turn


@pytest.mark.parametrize("in_flight", [True, False])
@pytest.mark.parametrize("killed_at", KILLED_AT)
def test_a_session_killed_at_a_step_ends_with_the_same_tree_and_asks_nothing_twice(
    tmp_path: Path, source: Path, database_urls: TestUrls, killed_at: int, in_flight: bool
):
    """`in_flight`: the kill comes while the model has not answered; else while its answer is being worked on."""
    turns = list(STEP_TURNS)
    if in_flight:
        turns[killed_at] = turns[killed_at].model_copy(update={"failures": (Failure(stall=30),)})
    plan = [planning("greet.txt")]
    told = script([plan], [[*turns, done(), done()]], [[reviewing("approve")]])
    with serving(told, tmp_path / "model") as server:
        env = environment(tmp_path, database_urls, server)
        first = begin("first", tmp_path, source, env)
        wait_until(lambda: has_come_to(server, killed_at), first)
        kill(first)
        killed, kept = time.monotonic(), kept_replies(database_urls)
        report = end(begin("second", tmp_path, source, env))
        asked = Counter(identity(one) for one in server.served())
        last = [identity(one) for one in server.served() if one.at < killed][-1]
    assert report["state"] == "pr_open"
    tree = git(source, "show", f"{report['branch']}:greet.txt").decode()
    written = [f"world {number}" for number in range(STEPS) if number % 4 != 3]
    assert tree.splitlines() == ["hello", *written]
    assert len(asked) == STEPS + 4
    twice = {who for who, times in asked.items() if times > 1}
    # What was on its way when the process died can be asked again: nobody knows of its answer. That is the step that
    # was waited for, or, since steps are quick and the kill comes a moment later, one soon after it.
    assert twice <= {last}
    assert all(turn >= kept for _, _, turn in twice)
    assert last == ("coder", 0, killed_at) or not in_flight
    assert bool(twice) or not in_flight
    replayed = subprocess.run(
        [AICD, "replay", report["job_id"], "--data-dir", tmp_path / "third", "--json"],
        env={name: value for name, value in env.items() if not name.endswith("KEY")},
        capture_output=True,
        timeout=200,
    )
    assert replayed.returncode == 0, replayed.stdout.decode() + replayed.stderr.decode()
    assert json.loads(replayed.stdout)["identical"] is True
