"""Jobs from issue to end, with agents whose every answer is scripted; all other parts are real."""

import asyncio
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from aicd_cli.runtime import leftovers
from aicd_core.contracts import (
    PlannedOp,
    PolicyVerdict,
    Review,
    ReviewFinding,
    ReviewVerdict,
    Usage,
)
from aicd_core.db.pages import PageRequest
from aicd_core.errors import ConflictError, InvalidInputError, StepFailedError
from aicd_core.jobs.machine import JobEvent, JobState
from aicd_core.orchestrator import Message, StateChanged, read_report, wake_for
from aicd_core.orchestrator.intake import INTAKE
from aicd_core.tenancy.audit.repository import list_entries
from aicd_core.tenancy.organizations import service as organizations
from aicd_core.tenancy.repositories import service as repositories
from aicd_core.tenancy.repositories.service import take_up
from aicd_core.testing.agents import ScriptedAgent, plan_for
from conftest import Body
from histories import git

NO_TESTS = "version: 1\ntests: []\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    git(root, "init", "-q")
    (root / ".aicd.yml").write_text(NO_TESTS)
    (root / "old.txt").write_text("old\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "Begin")
    return root


class PowerCutError(BaseException):
    """What no code catches: the end of a process, as far as a test can have it."""


def configure(root: Path, text: str) -> None:
    (root / ".aicd.yml").write_text(text)
    git(root, "commit", "-qam", "Configure")


def writes(path: str, content: str):
    async def code(workspace, session):
        await workspace.write(path, content.encode())

    return code


def rejects(*messages: str) -> Review:
    findings = tuple(ReviewFinding(id=f"f{n}", severity="high", message=m) for n, m in enumerate(messages))
    return Review(verdict=ReviewVerdict.REJECT, findings=findings)


def use(body: Body, agent: ScriptedAgent) -> ScriptedAgent:
    body.agents = lambda name: agent
    return agent


def creating(path: str, **script) -> ScriptedAgent:
    plans = [lambda task: plan_for(task.base_sha, path)]
    return ScriptedAgent(plans=plans, **{"codes": [writes(path, "new\n")], **script})


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


async def test_anew_ends_the_unfinished_job_and_starts_another(body: Body, source: Path):
    configure(source, NO_TESTS + "plan_approval: always\n")
    use(body, creating("new.txt"))
    first = await body.run(source, "Add a file")
    second = await body.take(source, "Add a file", anew=True)
    assert second.made
    assert second.job.id != first.job.id
    assert (await body.drive(first.job)).job.state is JobState.CANCELLED


async def test_a_second_run_of_an_open_issue_finds_its_pull_request(body: Body, source: Path):
    agent = use(body, creating("new.txt"))
    first = await body.run(source, "Add a file")
    second = await body.run(source, "Add a file")
    assert second.job.id == first.job.id
    assert second.pull_request == first.pull_request
    assert len(agent.feedbacks) == 1


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


async def test_only_a_waiting_job_can_be_approved(body: Body, source: Path):
    use(body, creating("new.txt"))
    report = await body.run(source, "Add a file")
    with pytest.raises(ConflictError, match="pr_open cannot be approved; one of these can: awaiting_approval"):
        await body.control().approve(report.job.id)


async def test_a_repository_that_a_job_names_is_connected_once_and_on_the_record(body: Body, source: Path):
    use(body, creating("new.txt"))
    await body.run(source, "Add a file")
    await body.run(source, "Add another")
    async with body.database.read(body.tenant) as session:
        log = await list_entries(session, body.tenant, PageRequest())
    assert [(entry.action, entry.detail) for entry in log.items] == [("repository.connected", {"source": str(source)})]


async def test_a_source_that_no_index_can_hold_is_refused_before_anything_is_made(body: Body):
    long = "/" + "/".join(uuid4().hex * 3 for _ in range(30))
    with pytest.raises(InvalidInputError, match="2,000"):
        async with body.database.write(body.tenant) as session:
            await take_up(session, body.tenant, INTAKE, long)


async def test_no_job_begins_on_a_repository_that_is_off_or_in_a_deleted_organization(body: Body, source: Path):
    async with body.database.write(body.tenant) as session:
        known = await repositories.connect(session, body.tenant, INTAKE, str(source))
        await repositories.configure(
            session, body.tenant, INTAKE, known.id, revision=known.revision, enabled=False, installation_id=None
        )
    with pytest.raises(ConflictError, match="switched off"):
        await body.take(source, "Add a file")
    async with body.database.write(body.tenant) as session:
        found = await organizations.require_organization(session, body.tenant)
        await organizations.delete(session, body.tenant, INTAKE, revision=found.revision, now=datetime.now(UTC))
    with pytest.raises(ConflictError, match="is deleted"):
        await body.take(source, "Add a file")
