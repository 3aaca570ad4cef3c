"""What people and checks say about a pull request, as a job takes it up: real git over HTTP, database and sandbox."""

from aicd_core.agents.dummy import DummyAgent
from aicd_core.contracts import Answer, Change, Review, ReviewVerdict
from aicd_core.jobs.machine import JobEvent, JobState
from feedback_world import diff, feedback_of, github, job
from github_town import AGAIN, Following, GitHub

__all__ = ["github", "job"]


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
