"""A job asks for its budgets where it has any, then only where it booked cost, and passes none for that."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
import pytest

from aicd_core.contracts import AgentSession, ModelReply, ModelRequest, Usage, Workspace
from aicd_core.jobs.machine import JobState
from aicd_core.testing.agents import ScriptedAgent, plan_for
from aicd_core.testing.databases import TestUrls
from aicd_core.usage.budgets import repository as budgets
from conftest import Body
from histories import git

COST = 30
Pay = Callable[[AgentSession], Awaitable[None]]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    git(root, "init", "-q")
    (root / ".aicd.yml").write_text("version: 1\ntests: []\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "Begin")
    return root


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The owners for whom budgets were listed, each time."""
    found: list[str] = []
    really = budgets.list_budgets

    async def listed(session, tenant, job_id, owner):
        found.append(owner)
        return await really(session, tenant, job_id, owner)

    monkeypatch.setattr(budgets, "list_budgets", listed)
    return found


def limit(urls: TestUrls, micro_usd: int) -> None:
    with psycopg.connect(urls.admin) as connection:
        connection.execute("UPDATE jobs SET cost_limit = %s", (micro_usd,))


def coder(*parts: Pay) -> ScriptedAgent:
    """Codes by doing these things and writing a file."""

    async def code(workspace: Workspace, session: AgentSession) -> None:
        for part in parts:
            await part(session)
        await workspace.write("new.txt", b"new\n")

    return ScriptedAgent(plans=[lambda task: plan_for(task.base_sha, "new.txt")], codes=[code])


async def by_journal(session: AgentSession) -> None:
    await call(session, b"a call")


async def past_the_journal(session: AgentSession) -> None:
    session.spend(Usage(input_tokens=1, cost_micro_usd=COST))


async def call(session: AgentSession, content: bytes) -> None:
    async def send() -> ModelReply:
        return ModelReply(content=b"ok", usage=Usage(output_tokens=1, cost_micro_usd=COST))

    await session.journal.call(ModelRequest(model="m", content=content), send, worst_case=COST)


SETTINGS = (
    "INSERT INTO organization_settings (org_id, agent, max_concurrent_jobs, plan_approval, revision, {}) "
    "SELECT id, 'dummy', 5, 'never', 1, 1 FROM organizations"
)
BUDGETS = {
    "none": (0, None),
    "the job's": (1, "UPDATE jobs SET cost_limit = 1"),
    "its issue's": (1, SETTINGS.format("issue_budget")),
    "its repository's": (1, SETTINGS.format("repository_budget")),
    "its organization's": (1, SETTINGS.format("monthly_budget")),
    "its issue's in this repository": (1, "UPDATE repositories SET issue_budget = 1"),
    "this repository's own": (1, "UPDATE repositories SET monthly_budget = 1"),
}


@pytest.mark.parametrize("budget", BUDGETS)
async def test_a_job_that_costs_nothing_asks_once_where_it_has_a_budget(
    body: Body, source: Path, database_urls: TestUrls, asked: list[str], budget: str
):
    body.agents = lambda name: coder()
    job = (await body.take(source, "Free")).job
    times, statement = BUDGETS[budget]
    if statement is not None:
        with psycopg.connect(database_urls.admin) as connection:
            changed = connection.execute(statement.encode()).rowcount
            assert changed == 1
    report = await body.drive(job)
    assert (report.job.state, len(asked)) == (JobState.PR_OPEN, times)


@pytest.mark.parametrize("pay", [by_journal, past_the_journal])
async def test_a_limit_lowered_during_a_step_that_booked_cost_holds_before_the_next_step(
    body: Body, source: Path, database_urls: TestUrls, asked: list[str], pay: Pay
):
    async def lower(_: AgentSession) -> None:
        limit(database_urls, COST - 1)

    agent = coder(pay, lower)
    body.agents = lambda name: agent
    report = await body.run(source, "Spend")
    assert (report.job.state, report.job.code) == (JobState.PAUSED, "job_budget")
    assert report.job.status.paused_from is JobState.REVIEWING
    assert agent.evidence == [], "the critic was not asked"
    assert report.usage.cost_micro_usd == COST
    assert len(asked) == 1


async def test_a_limit_lowered_during_a_free_step_holds_for_the_next_call_of_a_model(
    body: Body, source: Path, database_urls: TestUrls
):
    agent = coder(by_journal)
    plan = agent.plans[0]

    def lowering(task):
        limit(database_urls, COST - 1)
        return plan(task)

    agent.plans = [lowering]
    body.agents = lambda name: agent
    report = await body.run(source, "Spend")
    assert (report.job.state, report.job.code) == (JobState.PAUSED, "job_budget")
    assert report.usage.cost_micro_usd == 0, "the call was not sent"


async def test_a_job_whose_budget_is_used_up_begins_no_step_when_it_is_taken_again(
    body: Body, source: Path, database_urls: TestUrls
):
    agent = coder(by_journal, past_the_journal)
    body.agents = lambda name: agent
    job = (await body.take(source, "Spend")).job
    limit(database_urls, COST)
    report = await body.drive(job)
    assert (report.job.state, len(agent.evidence)) == (JobState.PAUSED, 0)
    resumed = await body.control().resume(job.id, cost_limit=2 * COST)
    report = await body.drive(resumed)
    assert (report.job.state, report.job.code) == (JobState.PAUSED, "job_budget")
    assert (len(agent.feedbacks), len(agent.evidence)) == (1, 0), "no step was begun"
