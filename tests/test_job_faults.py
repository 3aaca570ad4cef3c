"""A job that meets a limit, a crash, a mistake or a gap ends, or goes on, as it should."""

import asyncio
import shutil
import time
from pathlib import Path

import pytest

from aicd_core.contracts import Usage
from aicd_core.errors import InvalidInputError, StepFailedError
from aicd_core.jobs.machine import JobEvent, JobState
from conftest import Body
from histories import git
from scripted_jobs import creating, source, use

__all__ = ["source"]


class PowerCutError(BaseException):
    """What no code catches: the end of a process, as far as a test can have it."""


async def test_a_job_past_its_time_limit_pauses_and_goes_on_with_a_larger_one(body: Body, source: Path):
    gate = asyncio.Event()

    async def slow(workspace, session):
        await workspace.write("new.txt", b"new\n")
        await gate.wait()

    use(body, creating("new.txt", codes=[slow]))
    body.settings = body.settings.model_copy(update={"job_time_limit": 1.5})
    report = await body.run(source, "Take long")
    assert (report.job.state, report.job.code) == (JobState.PAUSED, "time_limit")
    gate.set()
    body.settings = body.settings.model_copy(update={"job_time_limit": 60.0})
    taken = await body.take(source, "Take long")
    assert taken.job.id == report.job.id
    await body.control().resume(report.job.id)
    report = await body.drive(report.job)
    assert report.job.state is JobState.PR_OPEN


async def test_a_step_past_its_deadline_fails_the_job(body: Body, source: Path):
    async def endless(workspace, session):
        await asyncio.sleep(60)

    use(body, creating("new.txt", codes=[endless]))
    body.settings = body.settings.model_copy(update={"step_timeout": 0.3})
    report = await body.run(source, "Never end")
    assert (report.job.state, report.job.code) == (JobState.FAILED, "step_timeout")


@pytest.mark.parametrize("where", ["plan", "code", "review"])
async def test_a_crash_in_any_step_repeats_nothing_that_was_stored(body: Body, source: Path, where: str):
    agent = use(body, creating("new.txt"))
    original = getattr(agent, where)
    calls = 0

    async def crashes_once(*arguments):
        nonlocal calls
        calls += 1
        if calls == 1:
            raise PowerCutError
        return await original(*arguments)

    setattr(agent, where, crashes_once)
    taken = await body.take(source, "Crash")
    with pytest.raises(PowerCutError):
        await body.drive(taken.job)
    again = await body.take(source, "Crash")
    assert again.job.id == taken.job.id
    report = await body.drive(again.job)
    assert report.job.state is JobState.PR_OPEN
    assert (len(agent.plan_errors), len(agent.feedbacks), len(agent.evidence)) == (1, 1, 1)
    events = [event.event for event in report.events]
    assert events == [None, JobEvent.ADMITTED, JobEvent.PLAN_READY, JobEvent.CODED, JobEvent.PUBLISHED]


async def test_what_was_spent_in_vain_is_on_the_ledger_all_the_same(body: Body, source: Path):
    async def spends_and_fails(workspace, session):
        session.spend(Usage(output_tokens=7, cost_micro_usd=5))
        raise StepFailedError("cannot")

    use(body, creating("new.txt", codes=[spends_and_fails]))
    report = await body.run(source, "Spend in vain")
    assert report.job.state is JobState.FAILED
    assert report.usage == Usage(output_tokens=7, cost_micro_usd=5)


@pytest.mark.parametrize(
    ("mistake", "says"),
    [(ValueError("oops"), "raised ValueError: oops"), (None, "answered with NoneType where Plan was due")],
)
async def test_an_agents_own_mistake_fails_its_job(body: Body, source: Path, mistake, says: str):
    agent = use(body, creating("new.txt"))

    async def plan(*arguments):
        if mistake:
            raise mistake

    agent.plan = plan
    report = await body.run(source, "Err")
    assert (report.job.state, report.job.code) == (JobState.FAILED, "agent_error")
    assert says in (report.job.reason or "")


async def test_an_agent_that_is_gone_fails_the_job(body: Body, source: Path):
    taken = await body.take(source, "Gone agent")

    def missing(name: str):
        raise InvalidInputError("There is no agent called 'x'.", code="unknown_agent")

    body.agents = missing
    report = await body.drive(taken.job)
    assert (report.job.state, report.job.code) == (JobState.FAILED, "unknown_agent")


async def test_a_base_that_is_gone_fails_the_job(body: Body, source: Path):
    use(body, creating("new.txt"))
    git(source, "checkout", "-q", "-b", "doomed")
    git(source, "commit", "-q", "--allow-empty", "-m", "Doomed")
    taken = await body.take(source, "Gone base")
    git(source, "checkout", "-q", "main")
    git(source, "branch", "-q", "-D", "doomed")
    shutil.rmtree(body.settings.resolved_data_dir() / "mirrors")
    report = await body.drive(taken.job)
    assert (report.job.state, report.job.code) == (JobState.FAILED, "base_gone")


async def test_an_agent_sees_its_deadline_from_a_thread(body: Body, source: Path):
    seen = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def works_in_a_thread(workspace, session):
        def watch():
            while not session.cancelled:
                time.sleep(0.01)
            loop.call_soon_threadsafe(seen.set)

        await asyncio.to_thread(watch)

    use(body, creating("new.txt", codes=[works_in_a_thread]))
    # Long enough for a plan on a busy machine: it is coding that is to run out of time.
    body.settings = body.settings.model_copy(update={"step_timeout": 3})
    report = await body.run(source, "Watch")
    assert report.job.code == "step_timeout"
    await asyncio.wait_for(seen.wait(), 5)
