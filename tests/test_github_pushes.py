"""Commits that are not the job's, on its branch or its base: kept below ours, merged in, or left to a person."""

from aicd_core.deliveries.models import DeliveryState
from aicd_core.jobs.machine import JobState
from feedback_world import diff, github, interrupted, job
from github_town import AGAIN, Following, GitHub

__all__ = ["github", "job"]


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
