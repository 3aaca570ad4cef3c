"""Who works on a job, follows it, stops or cancels it, and what is cleared away after."""

import asyncio
from pathlib import Path

import pytest

from aicd_cli.runtime import leftovers
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator import Message, StateChanged, read_report, wake_for
from conftest import Body
from histories import git
from scripted_jobs import creating, source, use, writes

__all__ = ["source"]


async def test_a_stopped_follower_leaves_the_job_to_its_worker(body: Body, source: Path):
    gate = asyncio.Event()

    async def waits(workspace, session):
        await workspace.write("new.txt", b"new\n")
        await gate.wait()

    use(body, creating("new.txt", codes=[waits]))
    taken = await body.take(source, "Follow me")
    worker = asyncio.ensure_future(body.drive(taken.job))
    while not any(isinstance(seen, StateChanged) and seen.state is JobState.CODING for seen in body.seen):
        await asyncio.sleep(0.01)
    follower = asyncio.ensure_future(body.foreground().handle(wake_for(taken.job), when_stopped="Enough."))
    while not any(isinstance(seen, Message) and "following" in seen.text for seen in body.seen):
        await asyncio.sleep(0.01)
    follower.cancel()
    with pytest.raises(asyncio.CancelledError):
        await follower
    gate.set()
    assert (await worker).job.state is JobState.PR_OPEN


async def test_a_stopped_worker_that_is_told_to_cancel_cancels(body: Body, source: Path):
    started = asyncio.Event()

    async def endless(workspace, session):
        started.set()
        await asyncio.sleep(60)

    use(body, creating("new.txt", codes=[endless]))
    taken = await body.take(source, "Stop me")
    worker = asyncio.ensure_future(body.foreground().handle(wake_for(taken.job), when_stopped="Enough."))
    await started.wait()
    worker.cancel()
    await worker
    report = await read_report(body.database, body.tenant, taken.job.id)
    assert (report.job.state, report.job.reason) == (JobState.CANCELLED, "Enough.")


async def test_what_a_killed_cleanup_left_behind_is_cleared_away_later(body: Body, source: Path):
    use(body, creating("new.txt", codes=[writes("old.txt", "old\n")]))
    report = await body.run(source, "Change nothing")
    assert report.job.state is JobState.FAILED
    leftover = body.settings.resolved_data_dir() / "jobs" / str(report.job.id)
    (leftover / "tree").mkdir(parents=True)
    waiting = await body.take(source, "Another")
    still = body.settings.resolved_data_dir() / "jobs" / str(waiting.job.id)
    still.mkdir()
    await body.control().tidy(leftovers(body.settings))
    assert not leftover.exists()
    assert still.exists()


async def test_a_cancelled_job_says_why_and_leaves_neither_branch_nor_work_tree(body: Body, source: Path):
    started = asyncio.Event()

    async def endless(workspace, session):
        started.set()
        await workspace.run("sleep 600")

    use(body, creating("new.txt", codes=[endless]))
    taken = await body.take(source, "Cancel me")
    work = asyncio.ensure_future(body.drive(taken.job))
    await started.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await body.control().cancel(taken.job.id, "Enough.")
    report = await read_report(body.database, body.tenant, taken.job.id)
    assert (report.job.state, report.job.reason) == (JobState.CANCELLED, "Enough.")
    jobs = body.settings.resolved_data_dir() / "jobs"
    assert list(jobs.iterdir()) == []
    assert b"aicd/" not in git(source, "branch", "--all")


async def test_a_second_worker_follows_the_first_and_both_see_the_same_end(body: Body, source: Path):
    agent = use(body, creating("new.txt"))
    taken = await body.take(source, "Add a file")
    first, second = await asyncio.gather(body.drive(taken.job), body.drive(taken.job))
    assert first.job.state is second.job.state is JobState.PR_OPEN
    assert first.pull_request == second.pull_request
    assert len(agent.feedbacks) == 1
    assert any(isinstance(seen, Message) and "following" in seen.text for seen in body.seen)


async def test_two_jobs_at_once_on_one_repository_get_a_pull_request_each(body: Body, source: Path):
    body.agents = lambda name: creating("new.txt")
    issues = [f"Add a file, number {number}" for number in range(4)]
    reports = await asyncio.gather(*(body.run(source, issue) for issue in issues))
    assert {report.job.state for report in reports} == {JobState.PR_OPEN}
    numbers = sorted(report.pull_request.number for report in reports if report.pull_request)
    assert numbers == [1, 2, 3, 4]
