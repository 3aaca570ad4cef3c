"""Coding goes on from its last checkpoint: tree, history and the count of calls; all parts but the agent are real."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import psycopg
import pytest

from aicd_core.contracts import (
    AgentSession,
    Change,
    ModelReply,
    ModelRequest,
    Review,
    ReviewVerdict,
    Usage,
    Workspace,
)
from aicd_core.errors import InvalidInputError, StepFailedError
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator import JobReport
from aicd_core.orchestrator.records import LeaseLostError
from aicd_core.testing.agents import ScriptedAgent, plan_for
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.leases import take_lease
from conftest import Body
from histories import git

Work = Callable[[Workspace, AgentSession], Awaitable[None]]


class PowerCutError(BaseException):
    """What no code catches: the end of a process, as far as a test can have it."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    git(root, "init", "-q")
    (root / ".aicd.yml").write_text("version: 1\ntests: []\n")
    (root / ".gitignore").write_text("*.log\n")
    (root / "old.txt").write_text("old\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "Begin")
    return root


def coding(body: Body, *codes: Work, paths: tuple[str, ...] = ("new.txt",), **script) -> ScriptedAgent:
    agent = ScriptedAgent(plans=[lambda task: plan_for(task.base_sha, *paths)], codes=list(codes), **script)
    body.agents = lambda name: agent
    return agent


def ask(urls: TestUrls, query: str) -> list[tuple]:
    with psycopg.connect(urls.admin) as connection:
        return connection.execute(query.encode()).fetchall()


class Model:
    """Counts what it is asked; it answers in upper case."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    async def answer(self, session: AgentSession, content: bytes) -> bytes:
        request = ModelRequest(model="m", content=content)
        return (await session.journal.call(request, partial(self._send, content))).content

    async def _send(self, content: bytes) -> ModelReply:
        self.asked.append(content)
        return ModelReply(content=content.upper(), usage=Usage(output_tokens=1))


async def test_a_round_cut_off_between_a_reply_and_its_checkpoint_pays_for_neither_again(body: Body, source: Path):
    model, histories, cut = Model(), [], [True]

    async def code(workspace, session):
        histories.append(session.history)
        for turn in range(len(session.history), 4):
            said = await model.answer(session, b"turn %d" % turn)
            await workspace.write(f"{turn}.txt", said)
            if turn == 2 and cut.pop():
                cut.append(False)
                raise PowerCutError
            await session.checkpoint(said)

    coding(body, code, paths=tuple(f"{turn}.txt" for turn in range(4)))
    taken = await body.take(source, "Be cut off")
    with pytest.raises(PowerCutError):
        await body.drive(taken.job)
    report = await body.drive((await body.take(source, "Be cut off")).job)
    assert report.job.state is JobState.PR_OPEN
    assert histories == [(), (b"TURN 0", b"TURN 1")]
    assert model.asked == [b"turn 0", b"turn 1", b"turn 2", b"turn 3"]
    assert report.usage == Usage(output_tokens=4)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "on another machine"])
async def test_the_tree_is_laid_as_of_the_last_checkpoint(body: Body, source: Path, tmp_path: Path, elsewhere: bool):
    """What came after it is gone; what the repository ignores is kept where the plan has it."""
    seen: dict[str, bytes] = {}

    async def first(workspace, session):
        await workspace.write("new.txt", b"first\n")
        await workspace.write("planned.log", b"ignored, and planned\n")
        await workspace.write("run.sh", b"#!/bin/sh\n", executable=True)
        await workspace.run("rm old.txt")
        await session.checkpoint(b"one")
        await workspace.write("new.txt", b"second\n")
        await workspace.write("late.txt", b"late\n")
        raise PowerCutError

    async def second(workspace, session):
        if session.history != (b"one",):
            return  # a further round: removing old.txt is outside of the plan
        seen.update({path: await workspace.read(path) for path in await workspace.list()})
        seen["mode"] = (await workspace.run("stat -c %A run.sh")).output.encode()

    coding(body, first, second, paths=("new.txt", "planned.log", "run.sh"))
    taken = await body.take(source, "Lay it again")
    with pytest.raises(PowerCutError):
        await body.drive(taken.job)
    if elsewhere:
        shutil.rmtree(body.settings.resolved_data_dir())
        body.settings = body.settings.model_copy(update={"data_dir": tmp_path / "other"})
    await body.drive(taken.job)
    assert seen.pop("mode").startswith(b"-rwx")
    assert {path: content for path, content in seen.items() if not path.startswith(".")} == {
        "new.txt": b"first\n",
        "planned.log": b"ignored, and planned\n",
        "run.sh": b"#!/bin/sh\n",
    }


async def test_a_checkpoint_adds_what_is_new_and_rewrites_nothing(body: Body, source: Path, database_urls: TestUrls):
    """The rows of an early and of a late checkpoint are of one size; no earlier row was written again."""

    async def code(workspace, session):
        for turn in range(30):
            await workspace.write("new.txt", b"turn %02d\n" % turn)
            await session.checkpoint(b"fragment %02d" % turn)

    coding(body, code)
    await body.run(source, "Go on for long")
    rows = ask(database_urls, "SELECT number, calls, history, length(change_set) FROM checkpoints ORDER BY id")
    assert [row[:3] for row in rows] == [(turn, 0, b"fragment %02d" % turn) for turn in range(30)]
    assert len({row[3] for row in rows}) == 1
    assert ask(database_urls, "SELECT DISTINCT xmax::text FROM checkpoints") == [("0",)]


async def test_a_further_round_has_a_history_of_its_own(body: Body, source: Path):
    histories: list[tuple[bytes, ...]] = []

    async def code(workspace, session):
        histories.append(session.history)
        await workspace.write("new.txt", b"round %d\n" % len(histories))
        await session.checkpoint(b"said in round %d" % len(histories))
        histories.append(session.history)

    reject = Review(verdict=ReviewVerdict.REJECT)
    coding(body, code, reviews=[reject, Review(verdict=ReviewVerdict.APPROVE)])
    await body.run(source, "Twice")
    assert histories == [(), (b"said in round 1",), (), (b"said in round 3",)]


async def test_a_job_that_paused_in_the_middle_of_a_round_goes_on_there(body: Body, source: Path):
    histories: list[tuple[bytes, ...]] = []
    began, gate = asyncio.Event(), asyncio.Event()

    async def code(workspace, session):
        histories.append(session.history)
        await workspace.write("new.txt", b"new\n")
        if not session.history:
            await session.checkpoint(b"began")
            began.set()
        await gate.wait()

    async def goes_on(seconds: float) -> JobReport:
        body.settings = body.settings.model_copy(update={"job_time_limit": seconds})
        job = (await body.take(source, "Pause")).job
        await body.control().resume(job.id)
        return await body.drive(job)

    coding(body, code)
    limit = 2.0
    body.settings = body.settings.model_copy(update={"job_time_limit": limit})
    report = await body.run(source, "Pause")
    while not began.is_set():  # a busy machine may have used it up before
        assert report.job.state is JobState.PAUSED
        report = await goes_on(limit := 2 * limit)
    assert report.job.state is JobState.PAUSED
    gate.set()
    assert (await goes_on(60.0 + limit)).job.state is JobState.PR_OPEN
    assert histories[-1] == (b"began",)
    assert set(histories[:-1]) == {()}


async def test_who_lost_the_job_leaves_no_checkpoint(body: Body, source: Path, database_urls: TestUrls):
    lost: list[BaseException] = []
    taken = await body.take(source, "Lose it")

    async def code(workspace, session):
        await workspace.write("new.txt", b"new\n")
        async with body.database.read(body.tenant) as transaction:
            job = await jobs.get_job(transaction, body.tenant, taken.job.id)
        assert job is not None
        assert job.lease_owner is not None
        assert await take_lease(body.system, job.id, "another", dead=(job.lease_owner,))
        try:
            await session.checkpoint(b"too late")
        except LeaseLostError as error:
            lost.append(error)
            raise

    coding(body, code)
    with pytest.raises(LeaseLostError):
        await body.drive(taken.job)
    assert len(lost) == 1
    assert ask(database_urls, "SELECT count(*) FROM checkpoints") == [(0,)]


async def test_only_coding_has_checkpoints(body: Body, source: Path):
    agent = coding(body, lambda workspace, session: workspace.write("new.txt", b"new\n"))
    original, refused = agent.plan, []

    async def plan(task, errors, workspace, session) -> object:
        assert session.history == ()
        with pytest.raises(InvalidInputError) as caught:
            await session.checkpoint(b"x")
        refused.append(caught.value.code)
        return await original(task, errors, workspace, session)

    agent.plan = plan
    assert (await body.run(source, "Plan")).job.state is JobState.PR_OPEN
    assert refused == ["no_checkpoint_here"]


async def test_no_checkpoint_is_made_beside_a_call_whose_reply_it_could_not_count(body: Body, source: Path):
    refused: list[str] = []

    async def code(workspace, session):
        await workspace.write("new.txt", b"new\n")

        async def send() -> ModelReply:
            with pytest.raises(InvalidInputError) as caught:
                await session.checkpoint(b"x")
            refused.append(caught.value.code)
            return ModelReply(content=b"", usage=Usage())

        await session.journal.call(ModelRequest(model="m", content=b"?"), send)
        await session.checkpoint(b"x")

    coding(body, code)
    assert (await body.run(source, "Beside")).job.state is JobState.PR_OPEN
    assert refused == ["call_under_way"]


async def test_a_call_that_is_made_while_a_checkpoint_is_kept_comes_after_it(
    body: Body, source: Path, database_urls: TestUrls
):
    sent: list[bytes] = []

    async def ask_model(session: AgentSession) -> ModelReply:
        async def send() -> ModelReply:
            sent.append(b"sent")
            return ModelReply(content=b"answer", usage=Usage())

        return await session.journal.call(ModelRequest(model="m", content=b"?"), send)

    async def first(workspace, session):
        await workspace.write("new.txt", b"new\n")
        keeping = session.checkpoint(b"one")
        await ask_model(session)
        await keeping
        raise PowerCutError

    async def second(workspace, session):
        assert session.history == (b"one",)
        assert (await ask_model(session)).content == b"answer"

    coding(body, first, second)
    taken = await body.take(source, "Beside")
    with pytest.raises(PowerCutError):
        await body.drive(taken.job)
    assert (await body.drive(taken.job)).job.state is JobState.PR_OPEN
    assert sent == [b"sent"]
    assert ask(database_urls, "SELECT calls FROM checkpoints") == [(0,)]


async def test_a_tree_that_cannot_be_kept_is_said_to_the_agent_which_may_mend_it(
    body: Body, source: Path, database_urls: TestUrls
):
    async def code(workspace, session):
        await workspace.run(
            "mkdir inner && cd inner && git init -q && git -c user.name=x -c user.email=x@example.org "
            "commit -q --allow-empty -m x"
        )
        with pytest.raises(StepFailedError, match="repository of its own"):
            await session.checkpoint(b"x")
        await workspace.run("rm -rf inner")
        await workspace.write("new.txt", b"new\n")
        await session.checkpoint(b"mended")

    coding(body, code)
    assert (await body.run(source, "Mend")).job.state is JobState.PR_OPEN
    assert ask(database_urls, "SELECT number, history FROM checkpoints") == [(0, b"mended")]


async def test_the_summary_of_a_resumed_round_is_that_of_its_last_attempt(body: Body, source: Path):
    """The round's result is stored once, however often the round began."""

    async def first(workspace, session):
        await workspace.write("new.txt", b"new\n")
        await session.checkpoint(b"one")
        raise PowerCutError

    async def second(workspace, session):
        assert session.history == (b"one",)

    agent = coding(body, first, second)
    taken = await body.take(source, "Sum up")
    with pytest.raises(PowerCutError):
        await body.drive(taken.job)
    report = await body.drive(taken.job)
    assert report.coded is not None
    assert report.coded.change == Change(summary="Change number 2.")
    assert report.coded.change_set.paths() == {"new.txt"}
    assert len(agent.feedbacks) == 2
