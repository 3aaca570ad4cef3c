"""Git runs to its end, or is ended whole."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from aicd_core.errors import UnavailableError
from aicd_github.git.runner import Git, GitCall, GitFailedError, GitResult, failure


@pytest.fixture
def slow_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `git` that starts a child, notes both their ids, and goes on for a minute."""
    program = tmp_path / "bin/git"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\nsleep 60 & echo $$ $! > {tmp_path}/pids.new\nmv {tmp_path}/pids.new {tmp_path}/pids\nwait\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path / "pids"


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def alive(pids: Path) -> list[str]:
    running = []
    for pid in pids.read_text().split():
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue
        if state != "Z":
            running.append(pid)
    return running


def all_gone(pids: Path, within: float = 10) -> bool:
    """The kernel ends a killed child of a child in its own time: it is given some."""
    deadline = time.monotonic() + within
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive(pids)


async def test_cancelling_ends_git_and_its_children(slow_git: Path) -> None:
    task = asyncio.create_task(Git().run(GitCall(("status",))))
    await asyncio.to_thread(wait_for, slow_git)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all_gone(slow_git)


async def test_a_git_that_takes_too_long_is_ended_and_told(slow_git: Path) -> None:
    with pytest.raises(UnavailableError, match="git status did not end") as caught:
        await Git(deadline=0.5).run(GitCall(("status",)))
    assert caught.value.code == "git_timeout"
    assert all_gone(slow_git)


async def test_a_missing_git_is_told_with_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="apt install git") as caught:
        await Git().run(GitCall(("version",)))
    assert caught.value.code == "git_missing"


async def test_a_failure_carries_what_was_tried_and_what_git_said(tmp_path: Path) -> None:
    with pytest.raises(GitFailedError, match=r"Reading failed: not a git repository") as caught:
        await Git().do(GitCall(("rev-parse", "HEAD"), cwd=tmp_path), "Reading failed")
    assert caught.value.returncode == 128


def test_a_full_disk_is_told_apart() -> None:
    full = failure(GitResult(b"", "error: unable to write file x: No space left on device", 1), "It failed")
    denied = failure(GitResult(b"", "fatal: could not open 'x' for writing: Permission denied", 1), "It failed")
    assert (full.code, denied.code) == ("no_disk_space", "not_writable")
    assert "Free some disk space" in full.message
