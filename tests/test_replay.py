"""A replayed job is compared byte for byte, pays nothing and leaves nothing behind."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import psycopg
import pytest

from aicd_cli.runtime import LocalHosts
from aicd_core.contracts import Change, ModelReply, ModelRequest, Review, ReviewVerdict, Usage
from aicd_core.errors import InvalidInputError, NotFoundError
from aicd_core.ids import JobId, new_uuid
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator import Cassette, JobReport, Redaction, Replay, Replayed, export_cassette
from aicd_core.orchestrator.cassette_format import Difference, Head, RecordedCall, read_lines
from aicd_core.orchestrator.chores import let_go
from aicd_core.testing.agents import ScriptedAgent, plan_for
from aicd_core.testing.cassettes import play, require_identical
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.journaled import JournaledAgent, Script, journaled_issue
from aicd_core.testing.paid_model import PaidModel
from conftest import Body
from histories import git, make_greeting

AICD = Path(sys.executable).with_name("aicd")
DIFFS = "Greet\n\n" + "\n".join(
    f"```diff\n--- a/greet.txt\n+++ b/greet.txt\n@@ -1 +1 @@\n-hello\n+hello {word}\n```\n"
    for word in ("moon", "world")
)
FULL = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Runs a command that cannot write a file of more than 100 bytes."""
TABLES = ("jobs", "job_events", "artifacts", "checkpoints", "model_calls", "journal_contents", "usage_entries")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_greeting(tmp_path / "source")


@pytest.fixture
def model(tmp_path: Path) -> Iterator[PaidModel]:
    with PaidModel(tmp_path / "paid.jsonl") as running:
        yield running


def without_tests(source: Path) -> Path:
    (source / ".aicd.yml").write_text("version: 1\ntests: []\n")
    git(source, "commit", "-qam", "No tests")
    return source


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


async def asks(session, content: bytes, answer: bytes) -> bytes:
    async def send() -> ModelReply:
        return ModelReply(content=answer, usage=Usage(output_tokens=1))

    return (await session.journal.call(ModelRequest(model="m", content=content), send)).content


class Asking(ScriptedAgent):
    """Asks in `code` and does what the answer says; `question` and `summary` are what a new version changes."""

    question = b"what?"
    summary = "As told."
    swallows = False

    async def code(self, task, plan, feedback, workspace, session) -> Change:
        try:
            await workspace.write("new.txt", await asks(session, self.question, b"the answer"))
        except Exception:
            if not self.swallows:
                raise
            await workspace.write("new.txt", b"the answer")
        return Change(summary=self.summary)


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


async def test_an_exported_journal_is_the_same_each_time_and_masked_and_plays_without_the_database(
    body: Body, source: Path, database_urls: TestUrls, tmp_path: Path
):
    token, own, known = "ghp_" + "aB3dE5gH7jK9mN1pQ4sT6vW8xZ2bC0fL5kR7", "corp-4711", 'a "known" secret'
    question = json.dumps({"ask": f"{token} {own} {known}"}).encode()
    agent = Asking(plans=[lambda task: plan_for(task.base_sha, "new.txt")], codes=[])
    agent.question = question
    body.agents = lambda name: agent
    report = await body.run(without_tests(source), "Ask")
    redaction = Redaction([known], [r"corp-\d+"])

    async def exported() -> str:
        return "".join([x async for x in export_cassette(body.database, body.tenant, report.job.id, redaction)])

    text = await exported()
    assert text == await exported()
    assert not [secret for secret in (token, own, "known") if secret in text]
    assert "[redacted: a GitHub token] [redacted] [redacted: a secret]" in text
    file = tmp_path / "job.jsonl"
    file.write_text(text)
    hosts, environment = LocalHosts(body.settings), {"SOME_PASSWORD": known}
    require_identical(await play(file, source, agent, hosts, body.settings, environment))
    agent.question = question.replace(b"ask", b"tell")
    with pytest.raises(AssertionError, match=r"no longer matches: code/1 call 0 request: byte \d+, line 1: stored"):
        require_identical(await play(file, source, agent, hosts, body.settings, environment))
    file.write_text("".join(text.splitlines(keepends=True)[:-1]))
    with pytest.raises(InvalidInputError, match="cut off"):
        await play(file, source, agent, hosts, body.settings, environment)
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith('{"call"'))
    call = json.loads(lines[at])
    result = json.loads(lines[1])
    result["result"]["kind"] = "evidence"
    call["call"]["request"] |= {"begins": 1, "ends": 1}
    latin = json.loads(lines[at])
    latin["call"] |= {"reply": "\u20ac", "reply_latin1": True}
    for number, wrong in ((1, "[" * 100_000), (1, json.dumps(result)), (at, json.dumps(call)), (at, json.dumps(latin))):
        file.write_text("\n".join([*lines[:number], wrong, *lines[number + 1 :]]))
        with pytest.raises(InvalidInputError, match=rf"job.jsonl cannot be used as a cassette: line {number + 1}: "):
            await play(file, source, agent, hosts, body.settings, environment)


@pytest.mark.parametrize("before", ["\t", "\r", "\b", "\x1b[31m", "\x1b[0;1m\t", "\u00e9"])
@pytest.mark.parametrize(
    "token",
    [
        "npm_" + "aB3dE5gH7jK9mN1pQ4sT6vW8xZ2bC0fL5kR7",
        "AIza" + "aB3dE5gH7jK9mN1pQ4sT6vW8xZ2bC0fL5kR",
        "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiJ4eXoifQ.aB3dE5gH7jK9mN1pQ4sT6",
        "https://jo:pa\\" + "tP4sT6vW8@db.corp.net",
    ],
)
def test_a_credential_is_masked_wherever_json_or_a_colour_stands_before_it(before: str, token: str):
    written = f"one{before}{token} two"
    word = token.rpartition("\\")[2]
    for form in (
        written,
        json.dumps(written),
        json.dumps(json.dumps(written)),
        json.dumps(written, ensure_ascii=False),
    ):
        if form != written or not before.isalpha():
            masked = Redaction().text(form)
            assert word not in masked
            assert Redaction().text(masked) == masked


def test_an_export_that_finds_no_room_leaves_no_file(tmp_path: Path, source: Path, database_urls: TestUrls):
    data, file = tmp_path / "data", tmp_path / "job.jsonl"
    ran = json.loads(aicd(data, database_urls, "run", "--repo", str(source), "--issue", DIFFS, "--json").stdout)
    command = [AICD, "journal", "export", ran["job_id"], "--to", file, "--data-dir", data]
    databases = {"AICD_DATABASE_URL": database_urls.app, "AICD_SYSTEM_DATABASE_URL": database_urls.system}
    done = subprocess.run(
        [sys.executable, "-c", FULL, *command],
        env={"PATH": os.environ["PATH"], "HOME": str(data), **databases},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert not file.exists()


def test_the_commands_write_a_cassette_and_play_it(tmp_path: Path, source: Path, database_urls: TestUrls):
    data, file = tmp_path / "data", str(tmp_path / "job.jsonl")
    ran = json.loads(aicd(data, database_urls, "run", "--repo", str(source), "--issue", DIFFS, "--json").stdout)
    for code in (0, 2):  # a file that is there is not written over
        assert aicd(data, database_urls, "journal", "export", ran["job_id"], "--to", file).returncode == code
    played = aicd(tmp_path / "other", database_urls, "replay", "--cassette", file, "--repo", str(source))
    assert played.returncode == 0, played.stderr
    assert "all 9 are identical" in played.stdout
    assert Path(file).stat().st_mode & 0o777 == 0o600
    other = make_greeting(tmp_path / "another")
    git(other, "commit", "-q", "--amend", "-m", "Another history")
    elsewhere = aicd(tmp_path / "other", database_urls, "replay", "--cassette", file, "--repo", str(other))
    assert elsewhere.returncode == 2
    assert "does not have the commit" in elsewhere.stderr
    assert "--repo" in elsewhere.stderr
    assert aicd(data, database_urls, "replay").returncode == 2


def test_the_calls_of_a_job_without_a_plan_are_exported_to_be_read(
    tmp_path: Path, source: Path, database_urls: TestUrls
):
    data, file = tmp_path / "data", str(tmp_path / "job.jsonl")
    ran = json.loads(aicd(data, database_urls, "run", "--repo", str(source), "--issue", "No diff", "--json").stdout)
    assert ran["code"] == "no_usable_diff"
    exported = aicd(data, database_urls, "journal", "export", ran["job_id"], "--to", file)
    assert exported.returncode == 0, exported.stderr
    assert "no plan, so there is nothing to replay" in exported.stdout
    played = aicd(data, database_urls, "replay", "--cassette", file, "--repo", str(source))
    assert (played.returncode, "has no plan yet" in played.stderr) == (2, True)


def test_lines_that_make_much_of_little_are_refused(monkeypatch: pytest.MonkeyPatch):
    call = RecordedCall(
        step="code/1", number=0, model="m", request=Difference(begins=0, ends=0, new="x" * 900), reply="", usage=Usage()
    )
    again = call.model_copy(update={"number": 1, "request": Difference(begins=900, ends=0, new="")})
    cassette = Cassette(cast("Head", None), Redaction())
    monkeypatch.setattr("aicd_core.orchestrator.cassette.MOST_TEXT", 2000)
    cassette.add({"call": call})
    cassette.add({"call": again})
    with pytest.raises(ValueError, match="more than 2,000 characters together"):
        cassette.add({"call": again})


def test_a_file_that_is_too_long_for_a_cassette_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("aicd_core.orchestrator.cassette_format.LONGEST", 10)
    with pytest.raises(InvalidInputError, match="longer than 10 bytes"):
        read_lines(b"[" * 11, "job.jsonl")


def aicd(data: Path, urls: TestUrls, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(data),
        "AICD_DATABASE_URL": urls.app,
        "AICD_SYSTEM_DATABASE_URL": urls.system,
    }
    command = [AICD, *arguments, "--data-dir", data]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_the_command_says_what_was_compared_and_ends_with_0_or_3(tmp_path: Path, source: Path, database_urls: TestUrls):
    data = tmp_path / "data"
    ran = json.loads(aicd(data, database_urls, "run", "--repo", str(source), "--issue", DIFFS, "--json").stdout)
    same = aicd(data, database_urls, "replay", ran["job_id"])
    assert same.returncode == 0, same.stderr
    assert "code/2 patch  identical  sha256 " in same.stdout
    assert "all 9 are identical; 0 calls" in same.stdout
    with psycopg.connect(database_urls.admin) as connection:
        connection.execute(
            "UPDATE artifacts SET content = convert_to(replace(convert_from(content, 'UTF8'), 'Applied', 'Added'), "
            "'UTF8') WHERE kind = 'change' AND round = 1"
        )
    other = aicd(data, database_urls, "replay", ran["job_id"], "--json")
    assert other.returncode == 3, other.stderr
    found = json.loads(other.stdout)
    assert found["identical"] is False
    (differing,) = (result for result in found["compared"] if not result["identical"])
    assert differing["what"] == "code/1 claim"
    assert differing["stored_sha256"] != differing["made_sha256"]
    words = aicd(data, database_urls, "replay", ran["job_id"])
    assert "code/1 claim  DIFFERS    sha256 stored " in words.stdout
    assert "1 of 9 differ" in words.stdout


def test_the_command_refuses_what_is_no_job(tmp_path: Path, database_urls: TestUrls):
    done = aicd(tmp_path / "data", database_urls, "replay", str(new_uuid()), "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["code"] == "no_such_job"


def test_the_help_says_that_no_test_is_run(tmp_path: Path):
    done = subprocess.run(
        [AICD, "replay", "--help"], capture_output=True, text=True, env={**os.environ, "COLUMNS": "120"}
    )
    assert "Tests are not run" in done.stdout
