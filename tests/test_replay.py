"""A replayed job is compared byte for byte, pays nothing and leaves nothing behind."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from aicd_core.contracts import Change, ModelRequest, Review, ReviewVerdict
from aicd_core.errors import NotFoundError
from aicd_core.ids import JobId, new_uuid
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator import JobReport, Replay, Replayed
from aicd_core.orchestrator.chores import let_go
from aicd_core.testing.agents import plan_for
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.journaled import JournaledAgent, Script, journaled_issue
from aicd_core.testing.paid_model import PaidModel
from conftest import Body
from replays import DIFFS, Asking, asks, source, without_tests

__all__ = ["source"]

TABLES = ("jobs", "job_events", "artifacts", "checkpoints", "model_calls", "journal_contents", "usage_entries")


@pytest.fixture
def model(tmp_path: Path) -> Iterator[PaidModel]:
    with PaidModel(tmp_path / "paid.jsonl") as running:
        yield running


async def replay(body: Body, job_id: JobId) -> Replayed:
    parts = body.parts()
    return await Replay(parts, body.tenant).run(job_id)


def files(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def rows(urls: TestUrls) -> dict[str, list]:
    with psycopg.connect(urls.admin) as connection:
        return {
            table: connection.execute(f"SELECT to_jsonb(t)::text FROM {table} t ORDER BY 1".encode()).fetchall()
            for table in TABLES
        }


async def test_a_job_of_the_dummy_agent_is_made_again_exactly(body: Body, source: Path):
    report = await body.run(source, DIFFS)
    assert (report.job.state, report.job.status.round) == (JobState.PR_OPEN, 2)
    found = await replay(body, report.job.id)
    assert [(result.what, result.difference) for result in found.compared] == [
        ("plan/0", None),
        *((f"code/1 {part}", None) for part in ("claim", "tree", "patch")),
        ("review/1", None),
        *((f"code/2 {part}", None) for part in ("claim", "tree", "patch")),
        ("review/2", None),
    ]
    assert found.identical
    assert all(result.stored_sha256 == result.made_sha256 for result in found.compared)
    assert len({result.stored_sha256 for result in found.compared}) > 6


async def test_a_replay_asks_no_model_and_touches_neither_database_nor_repository_nor_disk(
    body: Body, source: Path, model: PaidModel, database_urls: TestUrls
):
    body.agents = lambda name: JournaledAgent()
    report = await body.run(without_tests(source), journaled_issue("Diary", Script(model.url, rejections=1)))
    assert report.job.state is JobState.PR_OPEN
    paid, stored, theirs = len(model.calls()), rows(database_urls), files(source)
    ours = files(body.settings.resolved_data_dir())
    found = await replay(body, report.job.id)
    assert found.identical, found
    assert found.calls == paid == 9
    assert len(model.calls()) == paid
    assert rows(database_urls) == stored
    assert files(source) == theirs
    assert files(body.settings.resolved_data_dir()) == ours


async def asked(body: Body, source: Path) -> tuple[Asking, JobReport]:
    agent = Asking(plans=[lambda task: plan_for(task.base_sha, "new.txt")], codes=[])
    body.agents = lambda name: agent
    report = await body.run(without_tests(source), "Ask")
    assert report.job.state is JobState.PR_OPEN
    assert (await replay(body, report.job.id)).identical
    return agent, report


def differences(found: Replayed) -> dict[str, str | None]:
    assert not found.identical
    return {result.what: result.difference for result in found.compared if not result.identical}


async def test_another_request_is_reported_with_both_hashes_and_where_they_differ(body: Body, source: Path):
    agent, report = await asked(body, source)
    agent.question = b"whom?"
    found = await replay(body, report.job.id)
    assert differences(found) == {"code/1 call 0 request": r"byte 4, line 1: stored 'm\x00what?', made 'm\x00whom?'"}
    (missed,) = (result for result in found.compared if not result.identical)
    assert missed.stored_sha256 == ModelRequest(model="m", content=b"what?").digest().hex()
    assert missed.made_sha256 == ModelRequest(model="m", content=b"whom?").digest().hex()


async def test_a_request_that_was_never_made_is_reported_also_when_the_agent_goes_on_without_it(
    body: Body, source: Path
):
    agent, report = await asked(body, source)
    agent.swallows = True
    agent.question = b"whom?"
    assert list(differences(await replay(body, report.job.id))) == ["code/1 call 0 request"]

    async def review(task, plan, evidence, session):
        await asks(session, b"and now?", b"")
        return Review(verdict=ReviewVerdict.APPROVE)

    agent.question = Asking.question
    agent.review = review
    assert differences(await replay(body, report.job.id)) == {
        "review/1 call 0 request": "the journal holds no such call"
    }


async def test_results_that_differ_are_told_apart_from_those_that_do_not(body: Body, source: Path):
    agent, report = await asked(body, source)
    agent.summary = "As told!"
    agent.reviews = [Review(verdict=ReviewVerdict.REJECT)]
    found = differences(await replay(body, report.job.id))
    assert list(found) == ["code/1 claim", "review/1"]
    assert 'As told."' in (found["code/1 claim"] or "")
    assert 'As told!"' in (found["code/1 claim"] or "")


async def test_another_tree_differs_in_tree_and_patch(body: Body, source: Path):
    agent, report = await asked(body, source)

    async def code(task, plan, feedback, workspace, session):
        await workspace.write("new.txt", (await asks(session, b"what?", b"")) + b"!")
        return Change(summary="As told.")

    agent.code = code
    assert list(differences(await replay(body, report.job.id))) == ["code/1 tree", "code/1 patch"]


async def test_an_agent_that_now_fails_differs(body: Body, source: Path):
    agent, report = await asked(body, source)

    async def plan(*arguments):
        raise ValueError("oops")

    agent.plan = plan
    found = differences(await replay(body, report.job.id))
    assert list(found) == ["plan/0"]
    assert "oops" in (found["plan/0"] or "")


async def test_a_job_without_results_cannot_be_replayed(body: Body, source: Path):
    taken = await body.take(source, "Nothing yet")
    with pytest.raises(NotFoundError, match="no plan yet"):
        await replay(body, taken.job.id)
    with pytest.raises(NotFoundError, match="no job"):
        await replay(body, JobId(new_uuid()))


async def test_a_journal_that_was_let_go_of_cannot_be_replayed_and_says_so_while_its_evidence_holds(
    body: Body, source: Path, model: PaidModel, database_urls: TestUrls
):
    body.agents = lambda name: JournaledAgent()
    report = await body.run(without_tests(source), journaled_issue("Diary", Script(model.url)))
    with psycopg.connect(database_urls.admin) as connection:
        connection.execute("UPDATE jobs SET state = 'merged', updated_at = now() - interval '31 days'")
        for table in ("journal_contents", "checkpoints"):
            connection.execute(f"UPDATE {table} SET created_at = now() - interval '32 days'".encode())
    await let_go(body.parts())
    with pytest.raises(NotFoundError, match=r"AICD_JOURNAL_DAYS.*aicd replay --cassette") as caught:
        await replay(body, report.job.id)
    assert caught.value.code == "journal_gone"
    left = rows(database_urls)
    assert (left["journal_contents"], left["checkpoints"]) == ([], [])
    assert len(left["model_calls"]) == len(left["usage_entries"]) > 0
