"""How many rounds of feedback there are, one at a time, and that they survive a kill and are replayed."""

import asyncio
import base64
import json
import os
import subprocess
import sys
from pathlib import Path

from aicd_core.agents.dummy import DummyAgent
from aicd_core.agents.registry import load_agent
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.jobs.machine import JobEvent, JobState
from aicd_core.orchestrator import JobReport, Replay, export_cassette, read_bundle, read_report, redaction_of
from aicd_core.tenancy import Tenant
from aicd_core.testing.cassettes import play, require_identical
from aicd_core.testing.databases import TestUrls
from feedback_world import diff, github, interrupted, job
from github_town import AGAIN, Following, GitHub, following, serving

__all__ = ["github", "job"]

AICD = Path(sys.executable).with_name("aicd")


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
