"""Whole jobs under a policy: what is asked about becomes a draft that says so, the organisation's rules hold."""

from pathlib import Path

import pytest

from aicd_core.contracts import PlannedOp, PolicyVerdict
from aicd_core.contracts.config import CustomRule
from aicd_core.jobs.machine import JobState
from aicd_core.policy import Rules, publish_rules
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.policies import service
from aicd_core.testing.agents import ScriptedAgent, plan_for
from conftest import Body
from histories import git

ACTOR = Actor(ActorKind.SYSTEM, "test")
TEST = "def test_sum():\n    assert sum([1, 2]) == 3\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    git(root, "init", "-q")
    (root / ".aicd.yml").write_text("version: 1\ntests: []\n")
    (root / "test_sum.py").write_text(TEST)
    git(root, "add", ".")
    git(root, "commit", "-qm", "Begin")
    return root


def rewriting(body: Body, path: str, content: str) -> None:
    """Has the body work with an agent whose change makes the file hold this content."""

    async def code(workspace, session):
        await workspace.write(path, content.encode())

    op = PlannedOp.MODIFY if path == "test_sum.py" else PlannedOp.CREATE
    agent = ScriptedAgent(plans=[lambda task: plan_for(task.base_sha, path, op=op)], codes=[code])
    body.agents = lambda name: agent


async def publish(body: Body, rules: Rules) -> None:
    async with body.database.write(body.tenant) as session:
        await publish_rules(session, body.tenant, ACTOR, rules, expected=0)


async def test_a_test_that_asserts_less_opens_a_draft_that_names_the_place_and_the_way_out(body: Body, source: Path):
    rewriting(body, "test_sum.py", TEST.replace(" == 3", ""))
    report = await body.run(source, "Make the tests pass")
    assert report.job.state is JobState.PR_OPEN
    assert report.pull_request is not None
    assert report.pull_request.draft
    assert report.policy is not None
    assert report.policy.verdict is PolicyVerdict.ASK
    shown = Path(report.pull_request.url.removeprefix("file://")).read_text()
    assert "**A person must decide before this is merged:**" in shown
    assert "- policy `tests_weakened` test_sum.py:2: In 'test_sum', an assertion pins down less than before." in shown
    assert "Assert what was asserted before, or let a person confirm that less is right." in shown


async def test_a_rule_of_the_organisation_holds_in_every_repository(body: Body, source: Path):
    rule = CustomRule(id="no-todo", pattern="TODO", verdict="deny", message="No open ends.")
    await publish(body, Rules(custom=(rule,)))
    rewriting(body, "new.txt", "TODO\n")
    report = await body.run(source, "Add a file")
    assert (report.job.state, report.job.code) == (JobState.FAILED, "policy_denied")
    assert "No open ends." in (report.job.reason or "")


async def test_the_organisations_protected_paths_stop_a_plan(body: Body, source: Path):
    await publish(body, Rules(protected_paths=("db/**",)))
    rewriting(body, "db/1.sql", "x\n")
    report = await body.run(source, "Add a migration")
    assert (report.job.state, report.job.code) == (JobState.FAILED, "policy_denied")


async def test_a_repository_that_asks_for_less_than_its_organisation_is_told_so(body: Body, source: Path):
    await publish(body, Rules(max_files=2))
    (source / ".aicd.yml").write_text("version: 1\ntests: []\npolicy:\n  max_files: 3\n")
    git(source, "commit", "-qam", "Loosen")
    rewriting(body, "new.txt", "x\n")
    report = await body.run(source, "Add a file")
    assert (report.job.state, report.job.code) == (JobState.FAILED, "invalid_config")
    assert "3 is looser than the organisation's 2" in (report.job.reason or "")


async def test_no_job_goes_on_under_a_policy_that_cannot_be_read(body: Body, source: Path):
    async with body.database.write(body.tenant) as session:
        await service.publish(session, body.tenant, ACTOR, {"no_such_key": 1}, expected=0)
    rewriting(body, "new.txt", "x\n")
    report = await body.run(source, "Add a file")
    assert (report.job.state, report.job.code) == (JobState.FAILED, "bad_rules")
