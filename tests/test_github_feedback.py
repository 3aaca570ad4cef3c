"""What people and checks say about a pull request, as a job takes it up: real git over HTTP, database and sandbox."""

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aicd_core.agents.dummy import DummyAgent
from aicd_core.agents.registry import load_agent
from aicd_core.contracts import Agent, Answer, Change, OutsideFeedback, Review, ReviewVerdict
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.deliveries.models import DeliveryState
from aicd_core.jobs.artifacts import repository as artifacts
from aicd_core.jobs.machine import JobEvent, JobState
from aicd_core.jobs.models import ArtifactKind
from aicd_core.orchestrator import JobReport, Replay, export_cassette, read_bundle, read_report, redaction_of
from aicd_core.tenancy import Tenant
from aicd_core.testing.cassettes import play, require_identical
from aicd_core.testing.databases import TestUrls
from github_town import AGAIN, Following, GitHub, following, serving

AICD = Path(sys.executable).with_name("aicd")


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GitHub]:
    with serving(tmp_path) as made:
        yield made


@pytest.fixture
def job(github: GitHub, database: Database, system: SystemDatabase, tenant: Tenant, tmp_path: Path) -> Following:
    return following(github, database, system, tenant, tmp_path / "data", load_agent)


async def test_a_review_becomes_one_round_on_the_same_branch_and_its_threads_are_answered(
    job: Following, github: GitHub
):
    await job.begin()
    first = github.head()
    asked = [github.comment("alice", f"Wider.\n\n{AGAIN}", review_id=77), github.comment("alice", "And the rest?")]
    review = github.review("alice", "Not wide enough.")
    github.pull.comments[0].review_id = github.pull.reviews[-1].id
    report = await job.after(*asked, review, review)
    assert (report.job.state, report.job.status.round, report.job.status.feedback_rounds) == (JobState.PR_OPEN, 2, 1)
    assert github.file() == "one\nhello wide world\nthree"
    assert github.git("rev-parse", f"{github.head()}^") == first, "the commit is on top of the one before"
    assert len(github.repo.pulls) == len(github.living()) == 1
    changed, open_still = github.replies()
    assert f"Changed as it says here.\n\nIn {github.head()}." in changed
    assert "only a diff or a suggestion" in open_still
    assert "## Feedback, round 1" in github.pull.issue.body
    assert "Not wide enough." in github.pull.issue.body
    assert [run.head_sha for run in github.repo.checks] == [first, github.head()]
    await job.after(review)
    assert len(github.replies()) == 2
    events = [event.event for event in report.events if event.event is JobEvent.FEEDBACK]
    assert len(events) == 1


def diff(old: str, new: str) -> str:
    """A comment that has the middle line replaced."""
    return f"```diff\n--- a/greet.txt\n+++ b/greet.txt\n@@ -1,3 +1,3 @@\n one\n-{old}\n+{new}\n three\n```\n"


async def feedback_of(job: Following, number: int) -> OutsideFeedback:
    """What a round was given, as it is stored."""
    assert job.job_id is not None
    courier = job.database.courier(job.tenant)
    content = await artifacts.get_artifact(courier, job.tenant, job.job_id, ArtifactKind.FEEDBACK, number)
    assert content is not None
    return OutsideFeedback.model_validate_json(content)


async def test_a_red_check_begins_one_round_for_each_head(job: Following, github: GitHub):
    github.repo.issues[1].body += diff("hello", "hello whole world")
    await job.begin()
    red = github.check(log="\x1b[31mE: <!-- hidden -->too narrow\n" * 5000)
    report = await job.after(red, red)
    assert (report.job.state, report.job.status.round) == (JobState.PR_OPEN, 2)
    assert github.file() == "one\nhello whole world\nthree"
    (check,) = (await feedback_of(job, 2)).failed_checks
    assert (check.name, check.summary) == ("test", "Broken")
    assert check.log.endswith("too narrow\n")
    assert len(check.log) <= 16_000
    assert "\x1b" not in check.log
    report = await job.after(github.check())
    assert (report.job.state, report.job.code, report.job.status.round) == (
        JobState.PR_OPEN,
        "candidates_exhausted",
        3,
    )
    for again in (github.check(), github.check(conclusion="timed_out")):
        assert (await job.after(again)).job.status.round == 3, "the same red check on an unchanged head"
    assert "A person has to go on." in github.living()[0]


async def test_what_green_or_cancelled_checks_and_our_own_say_begins_nothing(job: Following, github: GitHub):
    await job.begin()
    github.repo.checks[0].conclusion = "failure"
    for event in (github.check("lint", "success"), github.check("slow", "cancelled")):
        await job.after(event)
    await job.look()
    sha = github.head()
    told = ("status", {**github.check("x", "success")[1], "id": 1, "sha": sha, "state": "failure", "context": "ci"})
    told[1].pop("action")
    told[1]["branches"] = [{"name": github.pull.head}]
    assert (await job.after(told)).job.status.round == 1
    github.repo.statuses[sha] = [{"state": "failure", "context": "ci", "description": "Red.", "target_url": None}]
    assert (await job.after(told)).job.status.round == 2
    assert (await feedback_of(job, 2)).failed_checks[0].key == "status/ci"


async def test_whoever_may_not_ask_for_work_begins_nothing_and_is_told_why_in_the_next_round(
    job: Following, github: GitHub
):
    await job.begin()
    events = [
        github.review("rita", AGAIN),
        github.comment("rita", f"@aicd\n\n{AGAIN}"),
        github.say("rita", f"@aicd\n\n{AGAIN}"),
    ]
    github.server.world.user("lintbot[bot]", "Bot")
    events += [github.review("lintbot[bot]", AGAIN), github.comment("ghost", AGAIN)]
    assert (await job.after(*events)).job.status.round == 1
    report = await job.after(github.comment("alice", f"@aicd please:\n\n{diff('hello world', 'a world')}"))
    assert (report.job.state, report.job.status.round) == (JobState.PR_OPEN, 2)
    assert github.file() == "one\na world\nthree"
    given = await feedback_of(job, 2)
    assert {said.author for thread in given.threads for said in thread.comments} == {"alice"}
    assert not given.reviews
    refused = [text for text in github.replies() if "Nothing was done about this" in text]
    assert len(refused) == 2
    assert any("rita" in text and "'read'" in text for text in refused)


async def test_a_comment_below_counts_when_it_calls_us_and_is_no_command(job: Following, github: GitHub):
    await job.begin()
    for text in (AGAIN, f"@someone\n\n{AGAIN}", f"@aicd\n\n/aicd retry\n\n{AGAIN}", f"see @aicd-labs\n\n{AGAIN}"):
        assert (await job.after(github.say("alice", text))).job.status.round == 1
    report = await job.after(github.say("alice", f"Well, @AICD, make it wide.\n\n{AGAIN}"))
    assert (report.job.state, report.job.status.round) == (JobState.PR_OPEN, 2)
    assert github.file() == "one\nhello wide world\nthree"
    assert "make it wide" in github.pull.issue.body


async def test_an_answer_to_our_answer_counts_and_a_suggestion_is_taken(job: Following, github: GitHub):
    await job.begin()
    await job.after(github.comment("alice", "@aicd why?"))
    (thread,) = [said.id for said in github.pull.comments if said.user.login == "alice"]
    reply = github.comment("alice", "```suggestion\nhello my world\n```", in_reply_to=thread)
    report = await job.after(reply)
    assert (report.job.state, report.job.status.feedback_rounds) == (JobState.PR_OPEN, 2)
    assert github.file() == "one\nhello my world\nthree"
    assert len(github.replies()) == 2


async def test_a_commit_of_somebody_elses_stays_below_ours(job: Following, github: GitHub):
    await job.begin()
    theirs = github.push(github.pull.head, "mine.txt", "by hand\n")
    report = await job.after(github.comment("alice", f"@aicd\n\n{AGAIN}"))
    assert (report.job.state, report.job.code) == (JobState.PR_OPEN, None), report.job.reason
    assert github.git("rev-parse", f"{github.head()}^") == theirs
    assert (github.file(), github.file("mine.txt")) == ("one\nhello wide world\nthree", "by hand")
    report = await job.after(github.comment("alice", f"@aicd\n\n{diff('hello wide world', 'hello world')}"))
    assert (github.file(), github.file("mine.txt")) == ("one\nhello world\nthree", "by hand")
    assert report.coded is not None
    assert [file.path for file in report.coded.change_set.files] == [], "measured from the person's commit"


async def test_a_commit_pushed_while_a_round_is_at_work_is_not_overwritten(job: Following, github: GitHub):
    await job.begin()
    pushed = []
    job.agents = interrupted(lambda: pushed.append(github.push(github.pull.head, "mine.txt", "by hand\n")))
    report = await job.after(github.comment("alice", f"@aicd\n\n{AGAIN}"))
    assert (report.job.state, report.job.code) == (JobState.PR_OPEN, "branch_taken")
    assert github.head() == pushed[0]
    assert "A person has to go on" in github.replies()[0]


async def test_a_push_of_somebody_elses_begins_a_round_only_when_it_conflicts(job: Following, github: GitHub):
    await job.begin()
    ours = await job.told(github.synchronized("aicd[bot]", github.head()))
    assert (ours.state, ours.code) == (DeliveryState.IGNORED, "own_push")
    theirs = github.push(github.pull.head, "mine.txt", "by hand\n")
    report = await job.after(github.synchronized("alice", theirs))
    assert (report.job.state, report.job.status.round, github.head()) == (JobState.PR_OPEN, 1, theirs)
    base = github.push("main", "other.txt", "of the base\n")
    theirs = github.push(github.pull.head, "other.txt", "by hand\n")
    report = await job.after(github.synchronized("alice", theirs))
    assert (report.job.state, report.job.status.round) == (JobState.PR_OPEN, 2)
    assert github.git("rev-parse", f"{github.head()}^@").split() == [theirs, base]
    event, payload = github.synchronized("alice", theirs)
    payload["pull_request"]["head"]["repo"] = {"id": 99, "full_name": "alice/project"}
    assert (await job.told((event, payload))).code == "not_ours", "a fork's branch of the same name"


async def test_a_base_that_moved_and_conflicts_is_merged_in(job: Following, github: GitHub):
    github.repo.issues[1].body = "```diff\n--- a/greet.txt\n+++ b/greet.txt\n@@ -2 +2 @@\n-hello\n+hello world\n```\n"
    await job.begin()
    ours, before = github.head(), github.git("rev-parse", "main")
    moved = github.push("main", "greet.txt", "ONE\nhello\nthree\n")
    event = github.pushed("main", before, moved)
    report = await job.after(event, event)
    assert (report.job.state, report.job.status.round) == (JobState.PR_OPEN, 2)
    assert github.git("rev-parse", f"{github.head()}^@").split() == [ours, moved]
    assert github.file() == "ONE\nhello world\nthree"
    assert (await job.after(event)).job.status.round == 2


async def test_a_conflict_that_is_not_resolved_is_left_to_a_person(job: Following, github: GitHub):
    await job.begin()
    ours, before = github.head(), github.git("rev-parse", "main")
    event = github.pushed("main", before, github.push("main", "greet.txt", "one\nhi\nthree\n"))
    report = await job.after(event)
    assert (report.job.state, report.job.status.round) == (JobState.PR_OPEN, 2)
    assert "A person has to go on" in (report.job.reason or "")
    assert github.head() == ours
    assert (await job.after(event)).job.status.round == 2
    other = github.push("main", "other.txt", "x\n")
    assert (await job.after(github.pushed("main", before, other))).job.status.round == 3, "another base, another try"


async def test_after_three_rounds_a_person_has_to_go_on(job: Following, github: GitHub):
    await job.begin()
    was = "hello world"
    for wanted in ("a world", "b world", "c world", "d world", "e world"):
        report = await job.after(github.comment("alice", f"@aicd\n\n{diff(was, wanted)}"))
        was = wanted
    assert (report.job.state, report.job.code) == (JobState.PR_OPEN, "feedback_rounds")
    assert (report.job.status.round, report.job.status.feedback_rounds) == (4, 3)
    assert github.file() == "one\nc world\nthree"
    assert "3 rounds of feedback" in github.living()[0]
    assert [("that is the limit" in text) for text in github.replies()] == [False] * 3 + [True] * 2
    await job.after(github.comment("alice", "@aicd again?"))
    assert [event.event for event in report.events].count(JobEvent.GIVEN_UP) == 1


async def test_a_round_that_comes_to_nothing_leaves_the_pull_request_and_says_why(job: Following, github: GitHub):
    await job.begin()
    before = github.head()
    report = await job.after(github.comment("alice", f"@aicd\n\n{diff('hello world', 'goodbye')}"))
    assert (report.job.state, report.job.code) == (JobState.PR_OPEN, "candidates_exhausted")
    assert github.head() == before
    (reply,) = github.replies()
    assert "`grep -q world greet.txt` ended with: exit code 1" in reply
    assert "could not be worked in" in github.living()[0]
    report = await job.after(github.comment("alice", f"@aicd\n\n{AGAIN}"))
    assert (report.job.state, report.job.code, report.job.status.feedback_rounds) == (JobState.PR_OPEN, None, 2)
    assert github.file() == "one\nhello wide world\nthree"


async def test_what_is_said_while_a_round_is_at_work_begins_the_next_one(job: Following, github: GitHub):
    await job.begin()
    more = f"@aicd\n\n{diff('hello wide world', 'hello whole world')}"
    loop = asyncio.get_running_loop()
    job.agents = interrupted(
        lambda: asyncio.run_coroutine_threadsafe(job.told(github.comment("alice", more)), loop).result()
    )
    report = await job.after(github.comment("alice", f"@aicd\n\n{AGAIN}"))
    assert (github.file(), report.job.status.feedback_rounds) == ("one\nhello wide world\nthree", 1)
    await job.look()
    report = await job.work()
    assert (github.file(), report.job.status.feedback_rounds) == ("one\nhello whole world\nthree", 2)
    assert len(github.replies()) == 2


async def test_a_question_changes_nothing_and_is_answered(job: Following, github: GitHub):
    await job.begin()
    before, evidence = github.head(), github.git("for-each-ref", "--format=%(objectname)", "refs/aicd")
    job.agents = lambda _: Explainer()
    report = await job.after(github.comment("alice", "@aicd why not wider?"))
    assert (report.job.state, report.job.status.round) == (JobState.PR_OPEN, 2)
    assert (github.head(), github.git("for-each-ref", "--format=%(objectname)", "refs/aicd")) == (before, evidence)
    (reply,) = github.replies()
    assert "Because &lt;b> it is wide." in reply
    assert "Nothing was changed." in reply


async def test_what_a_person_must_decide_makes_a_draft_and_ready_it_is_again(job: Following, github: GitHub):
    await job.begin()
    job.agents = lambda _: Doubter()
    assert not github.pull.draft
    report = await job.after(github.comment("alice", f"@aicd\n\n{AGAIN}"))
    assert report.pull_request is not None
    assert (github.pull.draft, report.pull_request.draft) == (True, True)
    assert "aicd: needs decision" in github.pull.issue.labels
    report = await job.after(github.comment("alice", f"@aicd\n\n{diff('hello wide world', 'hello world')}"))
    assert (github.pull.draft, github.pull.issue.labels) == (False, ["aicd"])
    github.pull.draft = True
    await job.after(github.comment("alice", f"@aicd\n\n{diff('hello world', 'hello small world')}"))
    assert github.pull.draft, "a draft that a person made stays one"


async def test_a_job_with_feedback_is_replayed_and_verified(job: Following, github: GitHub, tmp_path: Path):
    await job.begin()
    await job.after(github.comment("alice", f"@aicd\n\n{AGAIN}"))
    github.push(github.pull.head, "mine.txt", "by hand\n")
    await job.after(github.comment("alice", f"@aicd\n\n{diff('hello wide world', 'hello world')}"))
    assert job.job_id is not None
    replayed = await Replay(job.parts(), job.tenant).run(job.job_id)
    assert [(one.what, one.difference) for one in replayed.compared if not one.identical] == []
    assert {"code/3 tree", "review/3"} <= {one.what for one in replayed.compared}
    masks = redaction_of(job.settings, {}, ())
    lines = [line async for line in export_cassette(job.database, job.tenant, job.job_id, masks)]
    cassette = tmp_path / "feedback.jsonl"
    cassette.write_text("".join(lines))
    told = json.loads(lines[0])["head"]["job"]
    assert (told["round"], told["feedback_rounds"], told["first_round"]) == (3, 2, 3)
    played = await play(cassette, github.repo.folder, DummyAgent(), job.parts().hosts, job.settings, {})
    require_identical(played)
    assert [one.what for one in played.compared] == [one.what for one in replayed.compared]
    bundle = json.loads(await read_bundle(job.database, job.tenant, job.job_id))
    told = json.loads(base64.b64decode(bundle["payload"]))["predicate"]["repository"]
    assert told["parents"] == github.git("rev-parse", f"{github.head()}^@").split()
    assert told["head_sha"] == github.head()


async def test_a_worker_that_is_killed_in_a_round_is_followed_by_one_that_ends_it(
    database: Database, system: SystemDatabase, tenant: Tenant, database_urls: TestUrls, tmp_path: Path
):
    with serving(tmp_path, tests="sleep 2; grep -q world greet.txt") as github:
        job = following(github, database, system, tenant, tmp_path / "data", load_agent)
        await job.told(
            github.is_installed()
        )  # a worker for many opens only what the organization's installation covers
        await job.begin()
        first = github.head()
        await job.told(github.comment("alice", f"@aicd\n\n{AGAIN}"))
        await job.told(github.review("alice", "Wider."))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "AICD_DATABASE_URL": database_urls.app,
            "AICD_SYSTEM_DATABASE_URL": database_urls.system,
            **github.settings(),
            "AICD_GITHUB_ACCOUNTS": "acme=acme",
        }

        def worker(name: str) -> "subprocess.Popen[bytes]":
            command = [str(AICD), "worker", "--data-dir", str(tmp_path / name)]
            with (tmp_path / f"{name}.log").open("wb") as log:
                return subprocess.Popen(command, env=environment, stderr=log)

        async def report() -> JobReport:
            assert job.job_id is not None
            return await read_report(database, tenant, job.job_id)

        killed = worker("one")
        try:
            while (
                (now := await report()).job.status.round < 2
                or now.coded is None
                or "wide" not in str(now.coded.change_set.patch)
            ):
                await asyncio.sleep(0.05)
        finally:
            killed.kill()
            killed.wait()
        assert (await report()).job.state is JobState.CODING
        other = worker("two")
        try:
            while (now := await report()).job.state is not JobState.PR_OPEN:
                await asyncio.sleep(0.1)
        finally:
            other.kill()
            other.wait()
        assert (now.job.code, now.job.status.round, now.job.status.feedback_rounds) == (None, 2, 1)
        assert github.git("rev-parse", f"{github.head()}^") == first
        assert (len(github.replies()), len(github.repo.pulls), len(github.living())) == (1, 1, 1)
        assert [event.event for event in now.events].count(JobEvent.FEEDBACK) == 1


class Doubter(DummyAgent):
    """Has a person decide whatever is wide."""

    async def review(self, task, plan, evidence, session) -> Review:
        if b"wide" in evidence.change_set.patch:
            return Review(verdict=ReviewVerdict.ESCALATE)
        return await super().review(task, plan, evidence, session)


class Explainer(DummyAgent):
    """Says why, and changes nothing."""

    async def code(self, task, plan, feedback, workspace, session) -> Change:
        (thread,) = feedback.outside.threads
        return Change(summary="Nothing to do.", answers=(Answer(thread=thread.id, text="Because <b> it is wide."),))

    async def review(self, task, plan, evidence, session) -> Review:
        return Review(verdict=ReviewVerdict.APPROVE)


def interrupted(what: Callable[[], object]) -> Callable[[str], Agent]:
    """Agents that are the dummy's, but for what happens once while they code."""
    left = [what]

    class Interrupted(DummyAgent):
        async def code(self, *arguments) -> Change:
            if left:
                await asyncio.to_thread(left.pop())
            return await super().code(*arguments)

    return lambda _: Interrupted()
