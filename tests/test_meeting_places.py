"""Where parts meet: jobs whose repository is gone, trees that change hands, people and workers at the same moment."""

import asyncio
import io
import shutil
from pathlib import Path
from unittest.mock import AsyncMock

import psycopg
import pytest

from aicd_cli.commands import run as run_command
from aicd_cli.commands.run import RunRequest, _Run
from aicd_cli.runtime import LocalHosts, Store, leftovers
from aicd_cli.views import PlainView
from aicd_core.contracts import Usage
from aicd_core.errors import StepFailedError
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator import IssueText, Message, Replay, lease
from aicd_core.orchestrator.admission import Admission
from aicd_core.orchestrator.engine import Engine
from aicd_core.orchestrator.intake import INTAKE
from aicd_core.orchestrator.lease import LeaseKeeper
from aicd_core.orchestrator.moves import Mover
from aicd_core.orchestrator.notices import watch_jobs
from aicd_core.tenancy.organizations.service import edit_settings
from aicd_core.tenancy.organizations.values import SettingsValues
from aicd_core.testing.agents import ScriptedAgent, plan_for
from aicd_core.testing.databases import TestUrls
from aicd_github.commands import StepSandbox
from aicd_github.hosting.pushing import BranchPusher
from aicd_github.local.host import LocalCodeHost
from aicd_github.local.pulls import PullRequestBook
from conftest import Body
from histories import git


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return new_source(tmp_path / "source")


def new_source(root: Path, config: str = "version: 1\ntests: []\n") -> Path:
    root.mkdir()
    git(root, "init", "-q")
    (root / ".aicd.yml").write_text(config)
    git(root, "add", ".")
    git(root, "commit", "-qm", "Begin")
    return root


async def writes(workspace, session) -> None:
    await workspace.write("new.txt", b"new\n")


def use(body: Body, code=writes) -> ScriptedAgent:
    agent = ScriptedAgent(plans=[lambda task: plan_for(task.base_sha, "new.txt")], codes=[code])
    body.agents = lambda name: agent
    return agent


def job_folder(body: Body, job_id) -> Path:
    return body.settings.resolved_data_dir() / "jobs" / str(job_id)


async def cut_off(body: Body, source: Path, issue: str):
    """A job whose process was stopped in the middle of coding; its work tree is still there."""
    started = asyncio.Event()

    async def endless(workspace, session):
        started.set()
        await asyncio.sleep(3600)

    use(body, endless)
    job = (await body.take(source, issue)).job
    work = asyncio.ensure_future(body.drive(job))
    await started.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    return job


async def test_a_job_whose_repository_is_gone_is_cancelled_and_its_tree_cleared_away(body: Body, source: Path):
    job = await cut_off(body, source, "Lose the repository")
    shutil.rmtree(source)
    ended = await body.control().cancel(job.id, "Gone.")
    assert ended.state is JobState.CANCELLED
    assert not job_folder(body, job.id).exists()
    assert any(isinstance(seen, Message) and "does not exist" in seen.text for seen in body.seen)


async def test_what_one_job_left_behind_stands_in_nobody_elses_way(
    body: Body, source: Path, tmp_path: Path, database_urls: TestUrls
):
    """As `aicd run` and workers do before all else."""
    unreadable = new_source(tmp_path / "unreadable")
    stuck, others = await cut_off(body, unreadable, "Stuck"), await cut_off(body, source, "Another")
    with psycopg.connect(database_urls.admin) as connection:
        connection.execute("UPDATE jobs SET state = 'cancelled', lease_owner = NULL, lease_until = NULL")
    (unreadable / ".git" / "HEAD").write_text("broken")
    await body.control().tidy([stuck.id, others.id])
    assert not job_folder(body, others.id).exists()
    assert set(leftovers(body.settings)) <= {stuck.id}


async def test_the_tree_of_a_job_that_waits_goes_before_another_worker_can_lay_it(
    body: Body, source: Path, monkeypatch: pytest.MonkeyPatch
):
    """A person approves while the first worker still clears away: the second one waits for it."""
    (source / ".aicd.yml").write_text("version: 1\ntests: []\nplan_approval: always\n")
    git(source, "commit", "-qam", "Ask")
    clearing, approved, cleared = asyncio.Event(), asyncio.Event(), asyncio.Event()
    real = LocalCodeHost.close

    async def slow(workspace, session):
        await workspace.write("new.txt", b"new\n")
        await asyncio.wait_for(cleared.wait(), 30)

    use(body, slow)

    async def close(self, job_id):
        if not approved.is_set():
            clearing.set()
            await approved.wait()
        await real(self, job_id)
        cleared.set()

    monkeypatch.setattr(LocalCodeHost, "close", close)
    job = (await body.take(source, "Wait for me")).job
    first = asyncio.ensure_future(body.drive(job))
    await clearing.wait()
    await body.control().approve(job.id)
    second = asyncio.ensure_future(body.drive(job))
    await asyncio.sleep(1)  # time to lay the tree, and to write in it
    approved.set()
    await first
    report = await second
    assert (report.job.state, report.job.reason) == (JobState.PR_OPEN, None)


async def test_a_branch_that_is_pushed_while_the_job_is_withdrawn_does_not_stay(
    body: Body, source: Path, monkeypatch: pytest.MonkeyPatch
):
    use(body)
    pushing, withdrawn = asyncio.Event(), asyncio.Event()
    real = BranchPusher.push

    async def push(self, *arguments):
        pushing.set()
        await withdrawn.wait()
        await real(self, *arguments)

    monkeypatch.setattr(BranchPusher, "push", push)
    job = (await body.take(source, "Cancel while pushing")).job
    work = asyncio.ensure_future(body.drive(job))
    await pushing.wait()
    await LocalHosts(body.settings).at(str(source)).withdraw(job.id)
    withdrawn.set()
    report = await work
    assert report.job.state is JobState.FAILED
    assert b"aicd/" not in git(source, "branch", "--all")


async def test_a_job_that_fails_between_push_and_record_leaves_no_branch(
    body: Body, source: Path, monkeypatch: pytest.MonkeyPatch
):
    pushed = asyncio.Event()

    async def record(self, *arguments):
        pushed.set()
        raise StepFailedError("The record cannot be made.")

    monkeypatch.setattr(PullRequestBook, "record", record)
    use(body)
    report = await body.run(source, "Fail late")
    assert pushed.is_set()
    assert report.job.state is JobState.FAILED
    assert b"aicd/" not in git(source, "branch", "--all")


async def test_what_a_person_sends_back_is_not_counted_against_the_planner(body: Body, source: Path):
    (source / ".aicd.yml").write_text("version: 1\ntests: []\nplan_approval: always\n")
    git(source, "commit", "-qam", "Ask")
    agent = use(body)
    sound, unsound = agent.plans[0], lambda task: plan_for("0" * 40, "new.txt")
    attempts = body.settings.max_plan_attempts
    agent.plans = [*[sound] * attempts, *[unsound] * (attempts - 1), sound]
    job = (await body.take(source, "Otherwise")).job
    for _ in range(attempts):
        assert (await body.drive(job)).job.state is JobState.AWAITING_APPROVAL
        await body.control().send_back(job.id, "Otherwise, please.")
    assert (await body.drive(job)).job.state is JobState.AWAITING_APPROVAL


async def test_two_people_who_approve_at_once_both_see_the_end(body: Body, source: Path):
    """Both follow a worker, and both said --yes."""
    (source / ".aicd.yml").write_text("version: 1\ntests: []\nplan_approval: always\n")
    git(source, "commit", "-qam", "Ask")
    use(body)
    job = (await body.take(source, "Twice yes")).job
    await body.drive(job)
    store = Store(body.database, body.system, body.tenant)
    issue = IssueText("Twice yes", "Twice yes")
    request = RunRequest(str(source), issue, "dummy", None, yes=True, anew=False, as_json=True, data_dir=None)
    runs = [_Run(body.control(), body.foreground(), store, request, PlainView(io.StringIO())) for _ in range(2)]
    ran = await asyncio.gather(*(one.to_the_end(job) for one in runs))
    assert [one.report.job.state for one in ran] == [JobState.PR_OPEN] * 2


async def test_a_run_goes_on_with_a_job_that_another_approved_before_it_read_the_report(
    body: Body, source: Path, monkeypatch: pytest.MonkeyPatch
):
    (source / ".aicd.yml").write_text("version: 1\ntests: []\nplan_approval: always\n")
    git(source, "commit", "-qam", "Ask")
    use(body)
    job = (await body.take(source, "Approved meanwhile")).job
    read = AsyncMock(wraps=run_command.read_report)

    async def approved_before_it_is_read(*arguments):
        if not read.await_count:
            await body.control().approve(job.id, None)
        return await read(*arguments)

    monkeypatch.setattr(run_command, "read_report", approved_before_it_is_read)
    request = RunRequest(
        str(source), IssueText("A", "B"), "dummy", None, yes=False, anew=False, as_json=True, data_dir=None
    )
    store = Store(body.database, body.system, body.tenant)
    ran = await _Run(body.control(), body.foreground(), store, request, PlainView(io.StringIO())).to_the_end(job)
    assert ran.report.job.state is JobState.PR_OPEN


async def test_a_replay_is_shown_the_cache_of_the_jobs_organization(body: Body, source: Path):
    (source / ".aicd.yml").write_text("version: 1\nsetup: ['echo fetched > /cache/package']\ntests: ['true']\n")
    git(source, "commit", "-qam", "Set up")
    use(body)
    await body.run(source, "Fill the cache")

    async def copies(workspace, session):
        assert (await workspace.run("cp /cache/package new.txt")).ok

    use(body, copies)
    report = await body.run(source, "Use the cache")
    assert report.job.state is JobState.PR_OPEN, report.job.reason
    use(body, copies)  # anew: it counts its changes
    replayed = await Replay(body.parts(), body.tenant).run(report.job.id)
    assert replayed.identical, replayed.compared


async def test_what_a_cancelled_step_spent_is_booked_however_long_its_sandbox_takes_to_end(
    body: Body, source: Path, monkeypatch: pytest.MonkeyPatch
):
    """The heartbeat says again and again that the job is lost, and must not cut the end of the step off."""
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.1)
    started = asyncio.Event()

    async def spends(workspace, session):
        session.spend(Usage(input_tokens=7))
        started.set()
        await asyncio.sleep(3600)

    real = StepSandbox.close

    async def close(self):
        await asyncio.sleep(0.5 if started.is_set() else 0)
        await real(self)

    monkeypatch.setattr(StepSandbox, "close", close)
    use(body, spends)
    job = (await body.take(source, "Spend")).job
    work = asyncio.ensure_future(body.drive(job))
    await started.wait()
    await body.control().cancel(job.id, "Enough.")
    report = await work
    assert (report.job.state, report.usage.input_tokens) == (JobState.CANCELLED, 7)


async def test_a_notice_that_is_none_of_ours_makes_nobody_deaf(body: Body, source: Path, database_urls: TestUrls):
    """Whoever may connect may notify."""
    heard: list[tuple] = []
    watching = asyncio.ensure_future(watch_jobs(body.system, lambda *change: heard.append(change)))
    job = (await body.take(source, "Listen")).job
    async with asyncio.timeout(30):
        while heard.count((job.id, 7)) < 2:  # the first may come before it listens, and the noise with it
            with psycopg.connect(database_urls.app) as connection:
                connection.execute("SELECT pg_notify('aicd_jobs', 'noise')")
                connection.execute("SELECT pg_notify('aicd_jobs', %s)", (f"{job.org_id} {job.id} 7",))
            await asyncio.sleep(0.1)
    await lease.end(watching)


async def test_a_job_that_is_erased_at_work_leaves_no_tree(body: Body, source: Path, database_urls: TestUrls):
    started = asyncio.Event()

    async def endless(workspace, session):
        started.set()
        await asyncio.sleep(3600)

    use(body, endless)
    job = (await body.take(source, "Erase")).job
    mover = Mover(body.database, body.parts().dispatch, body.seen.append, patience=0)
    keeper = LeaseKeeper(body.system)
    taken = await Admission(body.system).take_job(job.id)
    assert taken is not None
    work = asyncio.ensure_future(keeper.hold(taken, Engine(body.parts(), keeper, mover, retries=True).work))
    await started.wait()
    with psycopg.connect(database_urls.admin) as connection:
        for table in (
            "model_calls",
            "journal_contents",
            "checkpoints",
            "artifacts",
            "usage_entries",
            "job_events",
            "jobs",
        ):
            connection.execute(f"DELETE FROM {table}".encode())
    with pytest.raises(lease.LeaseLostError):
        await asyncio.wait_for(work, 30)
    assert leftovers(body.settings) == []


async def test_the_month_of_a_budget_is_counted_by_the_clock_that_dates_the_ledger(
    body: Body, source: Path, database_urls: TestUrls
):
    """The database's clock is ahead of the worker's: what was spent by it is spent."""
    async with body.database.write(body.tenant) as session:
        await edit_settings(session, body.tenant, INTAKE, SettingsValues(monthly_budget=5), revision=0)

    async def spends(workspace, session):
        await workspace.write("new.txt", b"new\n")
        session.spend(Usage(cost_micro_usd=10))

    use(body, spends)
    with psycopg.connect(database_urls.admin) as connection:
        connection.execute(
            "ALTER TABLE usage_entries ALTER COLUMN created_at SET DEFAULT clock_timestamp() + interval '1 hour'"
        )
    report = await body.run(source, "Spend")
    assert (report.job.state, report.job.code) == (JobState.PAUSED, "monthly_budget")
