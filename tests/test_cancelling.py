"""Cancelling from another process, whatever the job is doing: its processes end, and nothing of it is left."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx
import psycopg
import pytest

from aicd_core.ids import new_uuid
from aicd_core.jobs.machine import JobState
from aicd_core.testing.chaos.installation import AicdProcess, Installation, installation, running, wait_until
from aicd_core.testing.chaos.repository import list_jobs
from aicd_core.testing.chaos.work import Order, place
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.journaled import Script, journaled_issue

ENDED_WITHIN = 5.0
"""Seconds that design §4 gives the processes of a cancelled job."""


@pytest.fixture
def made(tmp_path: Path, database_urls: TestUrls) -> Iterator[Installation]:
    with installation(tmp_path, database_urls) as found:
        yield found


def ordered(made: Installation, **script) -> UUID:
    return asyncio.run(place(made, [Order(journaled_issue("Keep a diary", Script(made.model.url, **script)))]))[0]


def state(made: Installation) -> JobState:
    return list_jobs(made.urls.admin)[-1].status.state


def wait_for(made: Installation, wanted: JobState) -> None:
    wait_until(lambda: state(made) is wanted, f"a job that is {wanted.value}")


def cancel(made: Installation, job_id: UUID) -> None:
    """As a person does, on a machine that has never seen the job."""
    done = made.aicd("elsewhere", "cancel", str(job_id), "--reason", "Not needed any more.")
    assert done.returncode == 0, done.stderr
    assert state(made) is JobState.CANCELLED
    assert list_jobs(made.urls.admin)[-1].reason == "Not needed any more."


def nothing_is_left(made: Installation, job_id: UUID) -> None:
    wait_until(lambda: not (made.root / "first" / "jobs" / str(job_id)).exists(), "no work tree")
    assert made.git("for-each-ref", "refs/heads/aicd") == b""
    assert list_jobs(made.urls.admin)[-1].lease_owner is None


def figures(worker: AicdProcess) -> str:
    found = re.search(r"metrics at (http://\S+/metrics)", worker.said())
    return httpx.get(found[1], timeout=60).text if found else ""


def a_long_sleep() -> str:
    """A command that no other test runs."""
    return f"sleep {3600 + new_uuid().int % 1_000_000}.5"


def test_a_queued_job(made: Installation):
    job_id = ordered(made, turns=1)
    cancel(made, job_id)
    nothing_is_left(made, job_id)
    worker = made.worker("first")
    wait_until(lambda: "ready" in worker.said(), "a worker that is ready")
    assert made.model.calls() == []


@pytest.mark.parametrize(("held", "doing"), [(1, JobState.PLANNING), (2, JobState.CODING), (3, JobState.REVIEWING)])
def test_a_job_that_waits_for_the_model(made: Installation, held: int, doing: JobState):
    job_id = ordered(made, turns=1)
    made.model.hold_from(held)
    made.settings["AICD_METRICS_PORT"] = "0"
    worker = made.worker("first")
    wait_until(lambda: len(made.model.calls()) == held, "the call that is held")
    assert state(made) is doing
    cancel(made, job_id)
    nothing_is_left(made, job_id)
    wait_until(lambda: "\naicd_leases_lost_total 1.0\n" in figures(worker), "a lease that is counted as lost")
    assert worker.process.poll() is None


@pytest.mark.parametrize("whose", ["agent", "tests"])
def test_a_command_in_the_sandbox(made: Installation, whose: str):
    command = a_long_sleep()
    if whose == "tests":
        (made.source / ".aicd.yml").write_text(f"version: 1\ntests: ['{command}']\n")
        made.git("commit", "-qam", "Test slowly")
    job_id = ordered(made, turns=1, command=command if whose == "agent" else None)
    worker = made.worker("first")
    wait_until(lambda: running(command), "the command")
    cancel(made, job_id)
    wait_until(lambda: not running(command), "the end of the command", ENDED_WITHIN)
    nothing_is_left(made, job_id)
    assert worker.process.poll() is None


def test_a_job_whose_plan_waits_for_a_person(made: Installation):
    (made.source / ".aicd.yml").write_text("version: 1\ntests: []\nplan_approval: always\n")
    made.git("commit", "-qam", "Ask")
    job_id = ordered(made, turns=1)
    made.worker("first")
    wait_for(made, JobState.AWAITING_APPROVAL)
    cancel(made, job_id)
    nothing_is_left(made, job_id)


def test_a_paused_job(made: Installation):
    job_id = ordered(made, turns=1)
    with psycopg.connect(made.urls.admin) as connection:
        connection.execute("UPDATE jobs SET cost_limit = 1")
    made.worker("first")
    wait_for(made, JobState.PAUSED)
    cancel(made, job_id)
    nothing_is_left(made, job_id)


def test_a_job_whose_pull_request_is_open_keeps_its_branch(made: Installation):
    job_id = ordered(made, turns=1)
    made.worker("first")
    wait_for(made, JobState.PR_OPEN)
    cancel(made, job_id)
    assert made.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/aicd").split() == [
        f"aicd/{job_id}".encode()
    ]


def test_cancelling_again_changes_nothing(made: Installation):
    job_id = ordered(made, turns=1)
    cancel(made, job_id)
    (before,) = list_jobs(made.urls.admin)
    again = made.aicd("elsewhere", "cancel", str(job_id), "--reason", "Twice.")
    assert again.returncode == 0
    assert list_jobs(made.urls.admin) == [before]
