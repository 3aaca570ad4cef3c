"""What becomes of a job whose step fails for a reason outside of it, and what a worker clears away by the clock."""

from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from aicd_cli.runtime import leftovers
from aicd_core.contracts import AgentSession, Workspace
from aicd_core.errors import ConflictError, ForbiddenError, InvalidInputError, UnavailableError
from aicd_core.jobs.machine import JobEvent, JobState
from aicd_core.orchestrator import Dispatch, chores, lease
from aicd_core.orchestrator.admission import Admission
from aicd_core.orchestrator.chores import let_go, sweep
from aicd_core.orchestrator.engine import Engine
from aicd_core.orchestrator.lease import LeaseKeeper
from aicd_core.orchestrator.moves import Mover
from aicd_core.orchestrator.report import JobReport, read_report
from aicd_core.orchestrator.retries import BACKOFFS, kind_of
from aicd_core.orchestrator.steps.context import StepContext, StepResult
from aicd_core.settings import Settings
from aicd_core.testing.agents import ScriptedAgent, plan_for
from aicd_core.testing.databases import TestUrls
from conftest import Body
from histories import git

DELIVERIES = """
    INSERT INTO deliveries (id, source, external_id, event, body, body_hash, state, attempts, handled_at)
    SELECT uuidv7(), 'github', n::text, 'issues', '', n::text::bytea, state, 1, now() - age
    FROM (VALUES
        (1, 'handled', interval '31 days'), (2, 'ignored', interval '31 days'), (3, 'handled', interval '29 days'),
        (4, 'failed', interval '31 days'), (5, 'received', NULL)
    ) AS made (n, state, age)
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    git(root, "init", "-q")
    git(root, "commit", "-q", "--allow-empty", "-m", "Begin")
    return root


@dataclass
class Workers:
    """Workers whose step of planning fails with these errors, one after the other; then the job is coded."""

    body: Body
    errors: list[Exception]

    async def plan(self, _: StepContext) -> StepResult:
        if self.errors:
            raise self.errors.pop(0)
        return StepResult(JobEvent.APPROVAL_ASKED)

    async def attempt(self, job_id) -> JobReport:
        """One worker's attempt, also before its time."""
        body = self.body
        keeper = LeaseKeeper(body.system)
        mover = Mover(body.database, body.parts().dispatch, body.seen.append, patience=0)
        engine = Engine(body.parts(), keeper, mover, retries=True, steps={JobState.PLANNING: self.plan})
        taken = await Admission(body.system).take_job(job_id)
        assert taken is not None
        await keeper.hold(taken, engine.work)
        return await read_report(body.database, body.tenant, job_id)


def ask(urls: TestUrls, query: str) -> list[tuple]:
    with psycopg.connect(urls.admin) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize(
    "error",
    [ValueError("a defect"), UnavailableError("away"), ConflictError("too late")],
    ids=["internal", "unavailable", "conflict"],
)
async def test_a_step_is_tried_again_as_often_as_its_kind_of_error_allows(
    body: Body, source: Path, database_urls: TestUrls, error: Exception
):
    backoff = BACKOFFS[kind_of(error)]
    job = (await body.take(source, "Fail")).job
    workers = Workers(body, [error] * (backoff.attempts + 1))
    for number in range(1, backoff.attempts + 1):
        report = await workers.attempt(job.id)
        assert (report.job.state, report.job.status.failures) == (JobState.PLANNING, number)
        assert (report.job.lease_owner, report.events[-1].event) == (None, JobEvent.RETRY_SCHEDULED)
        assert await Admission(body.system).take() is None  # nobody takes it before its time
        ((pause,),) = ask(database_urls, "SELECT extract(epoch FROM not_before - updated_at)::float FROM jobs")
        span = min(backoff.longest, backoff.first * 2 ** (number - 1))
        assert span / 2 <= pause <= span
    report = await workers.attempt(job.id)
    assert report.job.state is JobState.FAILED
    assert report.job.reason == f"{error} (given up after {backoff.attempts + 1} attempts)"


@pytest.mark.parametrize("error", [InvalidInputError("Mend it."), ForbiddenError("Not yours.")])
async def test_what_would_come_again_fails_the_job_at_once(body: Body, source: Path, error: Exception):
    job = (await body.take(source, "Fail")).job
    report = await Workers(body, [error]).attempt(job.id)
    assert (report.job.state, report.job.reason) == (JobState.FAILED, str(error))


@pytest.mark.parametrize(
    ("error", "traced"), [(UnavailableError("No key is set. Set it."), False), (KeyError("a defect"), True)]
)
async def test_the_log_traces_a_defect_and_not_an_error_that_says_what_to_do(
    body: Body, source: Path, caplog: pytest.LogCaptureFixture, error: Exception, traced: bool
):
    workers = Workers(body, [error])
    await workers.attempt((await body.take(source, "Fail")).job.id)
    (record,) = [record for record in caplog.records if "attempt 1 failed" in record.getMessage()]
    assert str(error) in record.getMessage()
    assert bool(record.exc_info) is traced


async def test_failures_are_forgotten_once_the_step_succeeds(body: Body, source: Path):
    job = (await body.take(source, "Fail")).job
    workers = Workers(body, [ValueError("once")])
    await workers.attempt(job.id)
    report = await workers.attempt(job.id)
    assert (report.job.state, report.job.status.failures) == (JobState.AWAITING_APPROVAL, 0)


async def test_a_worker_that_learns_by_a_write_that_its_job_was_cancelled_clears_its_tree_away(
    body: Body, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Cancelled on another machine, which cannot see the tree of this one; no heartbeat says so first."""
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 3600)
    elsewhere = replace(body, settings=Settings(data_dir=tmp_path / "elsewhere"))
    job = (await body.take(source, "Be cancelled")).job

    async def code(workspace: Workspace, _: AgentSession) -> None:
        await elsewhere.control().cancel(job.id, "Not needed any more.")
        await workspace.write("new.txt", b"new\n")

    agent = ScriptedAgent(plans=[lambda task: plan_for(task.base_sha, "new.txt")], codes=[code])
    body.agents = lambda _: agent
    assert (await body.drive(job)).job.state is JobState.CANCELLED
    assert leftovers(body.settings) == []


async def test_retention_removes_what_was_handled_long_ago_and_nothing_else(
    body: Body, database_urls: TestUrls, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(chores, "RETENTION_MOST", 1)
    ask(database_urls, DELIVERIES)
    await let_go(body.parts())
    assert ask(database_urls, "SELECT external_id FROM deliveries ORDER BY 1") == [("3",), ("4",), ("5",)]


async def test_a_sweep_sends_once_for_each_job_that_nobody_came_for(body: Body, source: Path, database_urls: TestUrls):
    sent: list[str] = []

    class Noting:
        async def add(self, wake, *, delay: float = 0.0) -> None:
            sent.append(wake.key)

    job = (await body.take(source, "Wait")).job
    parts = body.parts()
    parts = replace(parts, dispatch=Dispatch(Noting()))
    await sweep(parts)
    assert sent == []  # a worker was sent for just now
    ask(database_urls, "UPDATE jobs SET woken_at = now() - interval '31 seconds'")
    await sweep(parts)
    await sweep(parts)
    assert sent == [f"{job.id}-queued-0"]
