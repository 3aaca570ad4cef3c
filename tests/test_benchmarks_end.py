"""A benchmark that is told to stop leaves no process and no file behind."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from aicd_core.testing.chaos.installation import PATIENCE, running, wait_until

BENCH = Path(__file__).parents[1] / "bench"
SMALL = {
    "chaos.py": ("--jobs", "4", "--strikes", "100000", "--queue", "redis"),
    "orchestrator.py": ("--quick", "--jobs", "100000", "--only", "ours, Redis"),
    "recovery.py": ("--jobs", "1000000"),
    "tenancy.py": ("--jobs", "1000000"),
}


STATUS = 7
"""The line of a server's file that says `ready`; the server that initdb runs for itself writes none."""


def servers(scratch: Path) -> list[int]:
    """The Postgres servers of a folder; as root they run in a mount namespace, so their arguments do not tell."""
    found = []
    for file in scratch.rglob("postmaster.pid"):
        with suppress(FileNotFoundError):
            lines = file.read_text().splitlines()
            if lines[STATUS:] and lines[STATUS].strip() == "ready":
                found.append(int(lines[0]))
    return found


def at_work(scratch: Path, name: str) -> list[int]:
    """The benchmark's servers, once they are there, and its workers if it has some."""
    return servers(scratch) if name != "chaos.py" or running(str(scratch), "machine-1") else []


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("chaos.py", signal.SIGTERM),
        ("chaos.py", signal.SIGINT),
        ("orchestrator.py", signal.SIGTERM),
        ("recovery.py", signal.SIGTERM),
        ("tenancy.py", signal.SIGTERM),
    ],
)
def test_a_benchmark_that_is_told_to_stop_leaves_nothing_behind(
    tmp_path: Path, name: str, number: signal.Signals
) -> None:
    # A short path: a server's socket is in it.
    scratch = Path(tempfile.mkdtemp(prefix="end-"))
    scratch.chmod(0o755)
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, str(BENCH / name), *SMALL[name]],
            env=os.environ | {"TMPDIR": str(scratch)},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        started: list[int] = []

        def looked() -> bool:
            started.extend(at_work(scratch, name))
            return started != [] or process.poll() is not None

        wait_until(looked, f"{name} at work")
        process.send_signal(number)
        assert process.wait(PATIENCE) == 128 + number, (tmp_path / "said").read_text()[-2000:]
        assert started != []
        # A server removes its file a moment before it is gone, and a git outlives its killed worker by a moment.
        wait_until(lambda: not any(Path(f"/proc/{server}").exists() for server in started), "the server's end", 20)
        wait_until(lambda: not running(str(scratch)), "the end of all that was started", 20)
        assert list(scratch.iterdir()) == []
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(scratch, ignore_errors=True)
