"""What a person at a terminal sees: a live view, and Ctrl-C as the terminal sends it."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from histories import git
from shops import ISSUE, Shop, shop, slow
from terminals import Terminal

__all__ = ["shop"]

CTRL_C = b"\x03"
SIZE = {"TERM": "xterm", "COLUMNS": "100", "LINES": "30"}


@pytest.fixture
def run_on_terminal(shop: Shop):
    return lambda *options: Terminal(shop.command("run", "--issue", ISSUE, *options), shop.environment() | SIZE)


def test_a_terminal_gets_a_live_view_and_then_the_outcome(run_on_terminal):
    terminal = run_on_terminal()
    assert terminal.finish() == 0
    assert "\x1b[" in terminal.written
    assert re.search(r"queued.*planning.*coding.*reviewing.*pr_open", terminal.written)
    assert "grep -q world greet.txt: passed in" in terminal.written
    assert "Pull request open: file://" in terminal.written


def test_ctrl_c_at_the_terminal_cancels_the_job(shop: Shop, run_on_terminal):
    slow(shop)
    terminal = run_on_terminal()
    terminal.read_until("$ sleep")
    terminal.type(CTRL_C)
    assert terminal.finish() == 130
    assert "stopping; once more to leave at once" in terminal.written
    assert "Job cancelled" in terminal.written


def test_a_plan_is_shown_and_approved_at_the_terminal(shop: Shop, run_on_terminal):
    (shop.source / ".aicd.yml").write_text("version: 1\ntests: []\nplan_approval: always\n")
    git(shop.source, "commit", "-qam", "Ask first")
    terminal = run_on_terminal()
    terminal.read_until("Carry out this plan?")
    assert "modify greet.txt" in terminal.written
    terminal.type(b"y\n")
    assert terminal.finish() == 0
    assert "Pull request open" in terminal.written


def test_ctrl_c_at_the_question_leaves_the_plan_waiting(shop: Shop, run_on_terminal):
    (shop.source / ".aicd.yml").write_text("version: 1\ntests: []\nplan_approval: always\n")
    git(shop.source, "commit", "-qam", "Ask first")
    terminal = run_on_terminal()
    terminal.read_until("Carry out this plan?")
    time.sleep(0.5)  # a signal that comes just before the read of a C library begins is only seen at the next one
    terminal.type(CTRL_C)
    assert terminal.finish() == 5
    assert "waits for approval" in terminal.written


def test_hanging_up_cancels_the_job(shop: Shop, run_on_terminal):
    slow(shop)
    terminal = run_on_terminal()
    terminal.read_until("$ sleep")
    terminal.hang_up()
    assert terminal.process.wait(timeout=30) == 130
    (job,) = json.loads(shop.run("jobs", "--json").stdout)["jobs"]
    assert job["state"] == "cancelled"


def test_the_demo_ends_with_an_open_pull_request(tmp_path: Path):
    command = [str(Path(sys.executable).with_name("aicd")), "demo", "--dir", str(tmp_path / "demo")]
    done = subprocess.run(
        command, capture_output=True, text=True, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, timeout=120
    )
    assert done.returncode == 0, done.stderr
    for part in (
        "reject",
        "test_runs_of_spaces",
        "passed",
        "Pull request open",
        "+import re",
        "Review of round 2: approve",
    ):
        assert part in done.stdout
    assert not (tmp_path / "demo" / "data" / "postgres" / "cluster" / "postmaster.pid").exists()
