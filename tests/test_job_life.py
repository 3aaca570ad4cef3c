"""Jobs from issue to end, with agents whose every answer is scripted; all other parts are real."""

from pathlib import Path

import pytest

from aicd_core.contracts import PlannedOp, PolicyVerdict, Review, ReviewVerdict, Usage
from aicd_core.errors import ConflictError
from aicd_core.jobs.machine import JobState
from aicd_core.testing.agents import plan_for
from conftest import Body
from histories import git
from scripted_jobs import NO_TESTS, configure, creating, rejects, source, use, writes

__all__ = ["source"]


async def test_the_branch_holds_one_commit_with_author_trailers_and_the_captured_tree(body: Body, source: Path):
    use(body, creating("new.txt"))
    report = await body.run(source, "Add a file\n\nPlease.")
    assert report.job.state is JobState.PR_OPEN
    log = git(source, "log", "--format=%an%n%s%n%b", f"main..{report.job.branch}").decode()
    assert log.startswith("AI-CD\nAdd a file\n")
    assert report.plan is not None
    assert f"AI-CD-Job: {report.job.id}\nAI-CD-Plan: sha256:{report.plan.structure_hash()}" in log
    assert git(source, "show", f"{report.job.branch}:new.txt") == b"new\n"
    assert git(source, "diff", "--name-only", "main", report.job.branch) == b"new.txt\n"


async def test_what_the_tests_leave_behind_is_in_no_commit(body: Body, source: Path):
    configure(source, "version: 1\nsetup: [touch junk-of-setup]\ntests: [touch junk-of-tests]\n")
    use(body, creating("new.txt"))
    report = await body.run(source, "Add a file")
    assert git(source, "diff", "--name-only", "main", report.job.branch) == b"new.txt\n"
    assert report.tests is not None
    assert [result.command for result in report.tests.tests] == ["touch junk-of-tests"]


async def test_an_invalid_plan_goes_back_with_numbered_faults_until_it_is_valid(body: Body, source: Path):
    agent = creating("new.txt")
    agent.plans = [
        lambda task: plan_for(task.base_sha, "old.txt", "../up.txt"),
        lambda task: plan_for(task.base_sha, "missing.txt", op=PlannedOp.MODIFY),
        lambda task: plan_for(task.base_sha, "new.txt"),
    ]
    use(body, agent)
    report = await body.run(source, "Add a file")
    assert report.job.state is JobState.PR_OPEN
    assert agent.plan_errors == [
        (),
        (
            "1. Step 'step' creates 'old.txt', which exists already.",
            "2. Step 'step' names '../up.txt', which is no path inside the repository.",
        ),
        ("1. Step 'step' would modify 'missing.txt', which does not exist by then.",),
    ]


async def test_a_planner_that_never_learns_fails_the_job_with_the_last_faults(body: Body, source: Path):
    agent = use(body, creating("old.txt"))
    report = await body.run(source, "Add a file")
    assert (report.job.state, report.job.code) == (JobState.FAILED, "invalid_plan")
    assert "old.txt" in (report.job.reason or "")
    assert len(agent.plan_errors) == body.settings.max_plan_attempts
    assert agent.feedbacks == []


async def test_a_plan_that_policy_forbids_spends_no_coding(body: Body, source: Path):
    agent = use(body, creating(".github/workflows/ci.yml"))
    report = await body.run(source, "Add CI")
    assert (report.job.state, report.job.code) == (JobState.FAILED, "policy_denied")
    assert agent.feedbacks == []
    assert report.policy is not None
    (finding,) = report.policy.findings
    assert (report.policy.verdict, finding.rule, finding.path) == (
        PolicyVerdict.DENY,
        "protected_path",
        ".github/workflows/ci.yml",
    )


async def test_a_rejection_reaches_the_next_round_and_its_tree(body: Body, source: Path):
    agent = creating("new.txt", reviews=[rejects("not good"), Review(verdict=ReviewVerdict.APPROVE)])

    async def goes_on(workspace, session):
        assert await workspace.read("new.txt") == b"new\n"
        await workspace.replace("new.txt", "new", "newer")

    agent.codes.append(goes_on)
    use(body, agent)
    report = await body.run(source, "Add a file")
    assert report.job.state is JobState.PR_OPEN
    assert report.job.status.round == 2
    assert [feedback and feedback.review.findings[0].message for feedback in agent.feedbacks] == [None, "not good"]
    assert git(source, "show", f"{report.job.branch}:new.txt") == b"newer\n"


async def test_when_the_rounds_run_out_a_draft_says_what_is_open(body: Body, source: Path):
    agent = use(body, creating("new.txt", reviews=[rejects("still wrong")]))
    report = await body.run(source, "Add a file")
    assert report.job.state is JobState.PR_OPEN
    assert report.pull_request is not None
    assert report.pull_request.draft
    assert len(agent.evidence) == body.settings.max_rounds
    description = Path(report.pull_request.url.removeprefix("file://")).read_text()
    assert "A person must decide" in description
    assert "still wrong" in description


async def test_what_policy_denies_is_rejected_without_a_review_and_never_published(body: Body, source: Path):
    agent = creating("new.txt")
    agent.codes = [writes("elsewhere.txt", "x\n")]
    use(body, agent)
    report = await body.run(source, "Add a file")
    assert (report.job.state, report.job.code) == (JobState.FAILED, "policy_denied")
    assert "outside_plan" in (report.job.reason or "")
    assert agent.evidence == []
    assert [feedback.policy.verdict for feedback in agent.feedbacks if feedback] == [PolicyVerdict.DENY] * 2
    assert report.job.branch.encode() not in git(source, "branch", "--all")


async def test_red_tests_that_the_critic_lets_pass_open_a_draft(body: Body, source: Path):
    configure(source, "version: 1\ntests: ['echo because; exit 3']\n")
    agent = use(body, creating("new.txt"))
    report = await body.run(source, "Add a file")
    assert report.pull_request is not None
    assert report.pull_request.draft
    assert agent.evidence[0].tests.tests[0].output == "because\n"
    assert agent.evidence[0].tests.tests[0].exit_code == 3


async def test_a_change_of_nothing_fails_with_a_reason(body: Body, source: Path):
    use(body, creating("new.txt", codes=[writes("old.txt", "old\n")]))
    report = await body.run(source, "Change nothing")
    assert (report.job.state, report.job.code) == (JobState.FAILED, "empty_change")


async def test_a_broken_configuration_fails_the_job_and_names_line_and_key(body: Body, source: Path):
    configure(source, "version: 1\npolicy:\n  max_files: many\n")
    use(body, creating("new.txt"))
    report = await body.run(source, "Add a file")
    assert (report.job.state, report.job.code) == (JobState.FAILED, "invalid_config")
    assert ".aicd.yml line 3, key policy.max_files" in (report.job.reason or "")


async def test_the_configuration_counts_as_it_is_at_the_base_commit(body: Body, source: Path):
    configure(source, "version: 1\ntests: ['false']\n")
    agent = creating("new.txt")

    async def loosens(workspace, session):
        await workspace.write("new.txt", b"new\n")
        await workspace.write(".aicd.yml", NO_TESTS.encode())

    agent.codes = [loosens]
    use(body, agent)
    report = await body.run(source, "Loosen")
    assert report.job.code == "policy_denied"
    assert report.tests is not None
    assert report.tests.tests[0].command == "false"


async def test_what_the_agent_spends_is_on_the_ledger_once(body: Body, source: Path):
    async def spends(workspace, session):
        await workspace.write("new.txt", b"new\n")
        session.spend(Usage(input_tokens=100, output_tokens=20, cost_micro_usd=1_500))
        session.spend(Usage(input_tokens=1, cached_input_tokens=5, cost_micro_usd=500))

    use(body, creating("new.txt", codes=[spends]))
    report = await body.run(source, "Spend")
    assert report.usage == Usage(input_tokens=101, cached_input_tokens=5, output_tokens=20, cost_micro_usd=2_000)
    assert report.as_json()["usage"]["cost_usd"] == 0.002


async def test_a_plan_waits_for_approval_where_the_repository_asks_for_it(body: Body, source: Path):
    configure(source, NO_TESTS + "plan_approval: always\n")
    agent = use(body, creating("new.txt"))
    report = await body.run(source, "Add a file")
    assert report.job.state is JobState.AWAITING_APPROVAL
    assert agent.feedbacks == []
    await body.control().approve(report.job.id)
    report = await body.drive(report.job)
    assert report.job.state is JobState.PR_OPEN


async def test_only_a_waiting_job_can_be_approved(body: Body, source: Path):
    use(body, creating("new.txt"))
    report = await body.run(source, "Add a file")
    with pytest.raises(ConflictError, match="pr open cannot be approved; one of these can: awaiting approval"):
        await body.control().approve(report.job.id)
