"""`aicd logs` and `aicd jobs --watch`: looking on while a worker works, and afterwards."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aicd_cli.commands.logs import lines_of
from aicd_cli.process import STOP_SIGNALS
from aicd_cli.runtime import open_store
from aicd_core.jobs.log.repository import append_lines
from aicd_core.jobs.log.values import LogKind, NewLine
from aicd_core.jobs.machine import JobState
from aicd_core.settings import Settings
from aicd_core.testing.chaos.installation import AICD, Installation, installation, wait_until
from aicd_core.testing.chaos.repository import list_jobs
from aicd_core.testing.chaos.work import Order, place
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.journaled import Script, journaled_issue


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Looking on leaves the stop signals ignored, since its process ends."""
    kept = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture
def made(tmp_path: Path, database_urls: TestUrls) -> Iterator[Installation]:
    with installation(tmp_path, database_urls) as found:
        yield found


def looking_on(made: Installation, name: str, *arguments: str) -> tuple["subprocess.Popen[bytes]", Path]:
    """A command that stays, and the file that it writes."""
    told = made.root / name
    with told.open("wb") as stdout:
        command = [str(AICD), *arguments, "--data-dir", str(made.root / "elsewhere")]
        return subprocess.Popen(command, env=made.environment(), stdout=stdout, stderr=subprocess.STDOUT), told


def ends(process: "subprocess.Popen[bytes]") -> int:
    process.send_signal(signal.SIGINT)
    return process.wait(60)


def test_a_job_is_followed_from_another_process_and_read_afterwards(made: Installation):
    (made.source / ".aicd.yml").write_text("version: 1\ntests: ['echo well']\n")
    made.git("commit", "--quiet", "--all", "--message", "Test")
    (job,) = asyncio.run(place(made, [Order(journaled_issue("Keep a diary", Script(made.model.url, turns=2)))]))
    logs, told = looking_on(made, "logs", "logs", "-f", str(job))
    watch, seen = looking_on(made, "watch", "jobs", "--watch", "--json")
    wait_until(lambda: "queued" in told.read_text() and "queued" in seen.read_text(), "both look on")
    made.worker("first")
    wait_until(
        lambda: JobState.PR_OPEN in [each.status.state for each in list_jobs(made.urls.admin)], "an open pull request"
    )
    wait_until(lambda: "pr_open" in told.read_text() and "pr_open" in seen.read_text(), "both saw it")
    wait_until(lambda: "echo well" in told.read_text(), "the line of the command, which is kept a moment later")
    assert logs.poll() is None, "the job may go on: only the person ends it"
    assert ends(logs) == ends(watch) == 0

    states = [json.loads(line)["state"] for line in seen.read_text().splitlines()]
    assert (states[0], states[-1]) == ("queued", "pr_open")
    after = made.aicd("elsewhere", "logs", str(job)).stdout.decode()
    assert sorted(after.splitlines()) == sorted(told.read_text().splitlines())
    events = [json.loads(line) for line in made.aicd("elsewhere", "logs", "--json", str(job)).stdout.splitlines()]
    assert [each["state"] for each in events if each["kind"] == "event"][-1] == "pr_open"
    assert [each["text"] for each in events if each["kind"] == "command"] == ["echo well"]

    ended, _ = looking_on(made, "ended", "logs", "-f", str(job))
    assert made.aicd("elsewhere", "cancel", str(job)).returncode == 0
    assert ended.wait(60) == 0, "the job has ended, and so does looking on"


async def test_what_is_kept_a_moment_after_the_job_has_ended_is_shown_too(
    made: Installation, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("aicd_cli.commands.logs.LAST_WORDS_SECONDS", 0)
    (job,) = await place(made, [Order(journaled_issue("Keep a diary", Script(made.model.url)))])
    made.aicd("elsewhere", "cancel", str(job))
    settings = Settings(data_dir=made.root / "here", database_url=made.urls.app, system_database_url=made.urls.system)
    async with open_store(settings) as store:
        following = lines_of(store, job, follow=True)
        shown = [(await anext(following)).text()]
        async with store.system.write() as session:
            await append_lines(session, [NewLine(job, datetime.now(UTC), LogKind.MESSAGE, "last words")])
        shown += [line.text() async for line in following]
    assert ["cancelled" in shown[1], "last words" in shown[-1], len(shown)] == [True, True, 3]


def test_a_job_that_is_not_there_is_said_to_be_so(made: Installation):
    for arguments in (["logs"], ["logs", "-f"]):
        done = made.aicd("first", *arguments, "01a20a19-b883-7345-9527-cba0433a3c7f")
        assert (done.returncode, b"There is no job" in done.stderr) == (2, True)
