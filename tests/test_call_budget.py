"""No call of a model is sent whose worst case does not fit in what is left of a budget; the job pauses instead."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from aicd_core.contracts import Change, ModelReply, ModelRequest, Review, ReviewFinding, ReviewVerdict, Usage
from aicd_core.errors import LimitReachedError
from aicd_core.ids import JobId
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator.budget import Allowance
from aicd_core.orchestrator.records import Records
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.organizations.service import edit_settings
from aicd_core.tenancy.organizations.values import SettingsValues
from aicd_core.testing.agents import ScriptedAgent, plan_for
from aicd_core.testing.databases import TestUrls
from conftest import Body
from histories import git

ACTOR = Actor(ActorKind.SYSTEM, "test")
COST = 30
WORST = 100


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    git(root, "init", "-q")
    (root / ".aicd.yml").write_text("version: 1\ntests: []\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "Begin")
    return root


def lent(body: Body, urls: TestUrls, job_id: JobId) -> Allowance:
    """What a step of a job may spend whose lease has just been taken."""
    with psycopg.connect(urls.admin) as connection:
        connection.execute("UPDATE jobs SET lease_owner = 'us' WHERE id = %s", (job_id,))
    return Allowance(Records(body.database, body.tenant, job_id, "us"), job_id)


class Spender(ScriptedAgent):
    """Makes three calls, one after the other, while it codes; `lefts` is what was left when each was sent."""

    calls = 0

    async def code(self, task, plan, feedback, workspace, session) -> Change:
        self.lefts = []
        for number in range(3):

            async def send() -> ModelReply:
                self.calls += 1
                self.lefts.append(session.left.micro_usd)
                return ModelReply(content=b"ok", usage=Usage(output_tokens=1, cost_micro_usd=COST))

            await session.journal.call(ModelRequest(model="m", content=b"%d" % number), send, worst_case=WORST)
        await workspace.write("new.txt", b"new\n")
        return Change(summary="Done.")


def limit(urls: TestUrls, micro_usd: int) -> None:
    with psycopg.connect(urls.admin) as connection:
        connection.execute("UPDATE jobs SET cost_limit = %s", (micro_usd,))


async def test_a_job_pauses_before_the_call_that_could_pass_its_budget_and_goes_on_when_that_is_raised(
    body: Body, source: Path, database_urls: TestUrls
):
    agent = Spender(plans=[lambda task: plan_for(task.base_sha, "new.txt")], codes=[])
    body.agents = lambda name: agent
    job = (await body.take(source, "Spend")).job
    limit(database_urls, 2 * COST + WORST - 1)
    report = await body.drive(job)
    assert (report.job.state, report.job.code) == (JobState.PAUSED, "job_budget")
    assert "aicd resume" in (report.job.reason or "")
    assert agent.calls == 2
    assert report.usage.cost_micro_usd == 2 * COST
    assert agent.lefts == [2 * COST - 1, COST - 1]
    resumed = await body.control().resume(job.id, cost_limit=10 * WORST)
    report = await body.drive(resumed)
    assert report.job.state is JobState.PR_OPEN
    assert agent.calls == 3, "what was answered before the pause is not paid again"
    assert report.usage.cost_micro_usd == 3 * COST


async def test_calls_at_once_cannot_reserve_more_than_there_is_together(
    body: Body, source: Path, database_urls: TestUrls
):
    taken = await body.take(source, "Spend")
    limit(database_urls, 2 * WORST)
    allowance = lent(body, database_urls, taken.job.id)
    held, refused = [], []
    enough = asyncio.Event()

    async def call(key: str) -> None:
        try:
            async with allowance.reserve(key, WORST):
                held.append(allowance.left)
                await enough.wait()
        except LimitReachedError as error:
            refused.append(error)
            enough.set()

    await asyncio.gather(call("1"), call("2"), call("3"))
    assert (held, [error.code for error in refused]) == ([WORST, 0], ["job_budget"])
    async with allowance.reserve("4", 2 * WORST):
        assert allowance.left == 0, "what a call held back is free again when it has ended"


async def test_a_months_budget_of_the_organization_binds_each_call(body: Body, source: Path, database_urls: TestUrls):
    taken = await body.take(source, "Spend")
    async with body.database.write(body.tenant) as session:
        await edit_settings(session, body.tenant, ACTOR, SettingsValues(monthly_budget=WORST), revision=0)
    allowance = lent(body, database_urls, taken.job.id)
    async with allowance.reserve("1", WORST):
        pass
    with pytest.raises(LimitReachedError, match="organization") as caught:
        async with allowance.reserve("2", WORST + 1):
            pass
    assert caught.value.code == "monthly_budget"


async def test_a_plan_with_open_questions_waits_and_the_answer_reaches_the_planner_with_its_plan(
    body: Body, source: Path
):
    def asking(task):
        return plan_for(task.base_sha, "new.txt").model_copy(update={"open_questions": ("Which colour?",)})

    seen = []

    def answered(task):
        seen.append(task.returned_plan)
        return plan_for(task.base_sha, "new.txt")

    async def code(workspace, session) -> None:
        await workspace.write("new.txt", b"blue\n")

    agent = ScriptedAgent(plans=[asking, answered], codes=[code])
    body.agents = lambda name: agent
    report = await body.run(source, "Paint it")
    assert (report.job.state, report.job.code) == (JobState.AWAITING_APPROVAL, "open_questions")
    assert "Which colour?" in (report.job.reason or "")
    job = await body.control().send_back(report.job.id, "Blue.")
    report = await body.drive(job)
    assert report.job.state is JobState.PR_OPEN
    assert agent.plan_errors[-1] == ("A person sent the plan back: Blue.",)
    assert [plan.open_questions for plan in seen] == [("Which colour?",)]


async def test_a_critic_is_shown_the_rounds_before(body: Body, source: Path):
    rejected = Review(
        verdict=ReviewVerdict.REJECT, findings=(ReviewFinding(id="f", severity="high", message="Wrong."),)
    )

    def writes(text: bytes):
        async def code(workspace, session) -> None:
            await workspace.write("new.txt", text)

        return code

    agent = ScriptedAgent(
        plans=[lambda task: plan_for(task.base_sha, "new.txt")],
        codes=[writes(b"one\n"), writes(b"two\n")],
        reviews=[rejected, Review(verdict=ReviewVerdict.APPROVE)],
    )
    body.agents = lambda name: agent
    await body.run(source, "Write")
    first, second = agent.evidence
    assert first.earlier == ()
    assert [(before.round, before.review, b"+one" in before.patch) for before in second.earlier] == [
        (1, rejected, True)
    ]
