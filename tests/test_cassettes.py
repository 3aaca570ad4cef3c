"""An exported journal is masked, the same each time, and plays without the database; a bad one is refused."""

import json
from pathlib import Path
from typing import cast

import pytest

from aicd_cli.runtime import LocalHosts
from aicd_core.contracts import Usage
from aicd_core.errors import InvalidInputError
from aicd_core.orchestrator import Cassette, Redaction, export_cassette
from aicd_core.orchestrator.cassette_format import Difference, Head, RecordedCall, read_lines
from aicd_core.testing.agents import plan_for
from aicd_core.testing.cassettes import play, require_identical
from aicd_core.testing.databases import TestUrls
from conftest import Body
from replays import Asking, source, without_tests

__all__ = ["source"]


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
