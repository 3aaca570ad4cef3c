"""Machines share Postgres and, if there is one, Redis, and nothing else: what one began, the other ends."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from aicd_core.jobs.machine import JobState
from aicd_core.testing.chaos.installation import Installation, installation, wait_until
from aicd_core.testing.chaos.repository import list_jobs
from aicd_core.testing.chaos.verdict import Payment, breaches
from aicd_core.testing.chaos.work import Order, place
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.journaled import Script, journaled_issue

NAMESPACES = ("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
"""A network of its own, without a way out, and processes that the other machine cannot see."""


def begin_and_lose(made: Installation, *within: str) -> None:
    """A worker of the first machine gets as far as the second checkpoint of coding, and is killed in the third call."""
    order = Order(journaled_issue("Keep a diary", Script(made.model.url, turns=4)))
    (job_id,) = asyncio.run(place(made, [order]))
    made.model.hold_from(4)
    first = made.worker("first", within=within)
    wait_until(lambda: len(made.model.calls()) == 4, "the third call of coding")
    first.kill()
    made.model.release()
    assert list_jobs(made.urls.admin)[0].status.state is JobState.CODING
    assert (made.root / "first" / "jobs" / str(job_id)).is_dir()


def end_on_the_second(made: Installation, *within: str) -> None:
    made.worker("second", within=within)
    wait_until(lambda: list_jobs(made.urls.admin)[0].status.state is JobState.PR_OPEN, "an open pull request")
    assert list(breaches(made, at_risk=1)) == []
    assert Payment.of(made).paid - Payment.of(made).needed == 1
    assert [len(list((made.root / name).glob("pulls/*/*.md"))) for name in ("first", "second")] == [0, 1]


def test_a_job_begun_on_one_machine_ends_on_the_other_over_redis(tmp_path: Path, database_urls: TestUrls):
    with installation(tmp_path, database_urls, with_redis=True) as made:
        begin_and_lose(made)
        end_on_the_second(made)


@pytest.mark.skipif(
    subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode != 0,
    reason="this user may not make namespaces",
)
def test_a_job_ends_on_a_machine_that_sees_neither_the_network_nor_the_processes_of_the_first(
    tmp_path: Path, database_urls: TestUrls
):
    """The lease has to run out: nobody there can know that its holder is dead."""
    with installation(tmp_path, database_urls, model_socket=tmp_path / "model.socket") as made:
        begin_and_lose(made, *NAMESPACES)
        end_on_the_second(made, *NAMESPACES)
