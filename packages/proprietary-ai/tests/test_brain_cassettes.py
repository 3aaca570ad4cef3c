"""The Brain on recorded calls: no server, no database, no token.

`AICD_TEST_RECORD=1` records the cassettes anew, from the scripted server; do so when a prompt or a tool was changed on
purpose, and look at what differs.
"""

import json
import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from aicd_brain.agents import claude, openai
from aicd_brain.agents.brain import BrainAgent
from aicd_brain.settings import BrainSettings
from aicd_brain.testing.jobs import APPROVE, CODE, PLAN
from aicd_brain.testing.turns import done, finding, reviewing, script, using
from aicd_cli.runtime import LocalHosts
from aicd_core.contracts import Agent
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator import Redaction, Replayed, export_cassette
from aicd_core.settings import Settings
from aicd_core.testing.cassettes import play as play_cassette
from aicd_core.testing.cassettes import require_identical

FOLDER = Path(__file__).parent / "cassettes"
REJECTION = reviewing("reject", finding("too-small", "greet.txt", 1, failure="It greets too little."))
AGAIN = [using("replace", path="greet.txt", old="world", new="whole world"), done(), done()]
EVERY_API = pytest.mark.parametrize("api", ["anthropic", "responses", "chat"])
UNREACHABLE = "http://127.0.0.1:9"
"""Nothing listens on the discard port; a call that were sent would fail."""


def cassette(api: str) -> Path:
    return FOLDER / f"greet-{api}.jsonl"


def agent_without_a_server(api: str) -> BrainAgent:
    """It has no key either: whatever it sent would be refused before it left."""
    if api == "anthropic":
        return BrainAgent(BrainSettings(anthropic_base_url=UNREACHABLE), claude.connect, "claude-sonnet-5-5")
    settings = BrainSettings(openai_base_url=UNREACHABLE, openai_api=api, openai_api_key=SecretStr("none"))
    return BrainAgent(settings, openai.connect, "gpt-6.1-sol")


async def played(api: str, source: Path, tmp_path: Path, agent: Agent, file: Path | None = None) -> Replayed:
    settings = Settings(data_dir=tmp_path / "data")
    return await play_cassette(file or cassette(api), source, agent, LocalHosts(settings), settings, {})


@pytest.mark.skipif(not os.environ.get("AICD_TEST_RECORD"), reason="records cassettes: AICD_TEST_RECORD=1")
@EVERY_API
async def test_record_the_cassettes(play, api):
    stage = play(script([PLAN], [CODE, AGAIN], [[REJECTION], APPROVE]), api)
    report = await stage.run()
    assert report.job.state is JobState.PR_OPEN
    body = stage.body
    lines = [line async for line in export_cassette(body.database, body.tenant, report.job.id, Redaction())]
    FOLDER.mkdir(exist_ok=True)
    cassette(api).write_text("".join(lines))


@EVERY_API
async def test_a_job_is_made_again_from_its_cassette_with_no_server(api, source: Path, tmp_path: Path):
    found = await played(api, source, tmp_path, agent_without_a_server(api))
    require_identical(found)
    assert [one.what for one in found.compared if "tree" not in one.what and "patch" not in one.what] == [
        *("plan/0", "code/1 claim", "review/1", "code/2 claim", "review/2")
    ]
    assert found.calls == json.loads(cassette(api).read_text().splitlines()[-1])["end"]["calls"]


async def test_a_request_that_no_longer_matches_is_named_with_the_first_difference(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    agent = agent_without_a_server("anthropic")
    monkeypatch.setattr(agent, "_settings", agent._settings.model_copy(update={"model_max_output": 1234}))
    with pytest.raises(AssertionError) as caught:
        require_identical(await played("anthropic", source, tmp_path, agent))
    told = str(caught.value)
    assert "no longer matches: plan/0 call 0 request: byte " in told
    assert "1234" in told
    assert "record it anew" in told


async def test_another_model_is_another_request(source: Path, tmp_path: Path):
    agent = BrainAgent(BrainSettings(anthropic_base_url=UNREACHABLE), claude.connect, "claude-opus-5-5")
    with pytest.raises(AssertionError, match="plan/0 call 0 request: byte 7, line 1: stored 'claude-sonnet"):
        require_identical(await played("anthropic", source, tmp_path, agent))


async def test_a_reply_that_was_changed_in_the_file_makes_another_result(source: Path, tmp_path: Path):
    lines = cassette("anthropic").read_text().replace("It is done.", "It is gone.").splitlines(keepends=True)
    kept = cassette("anthropic").read_text().splitlines(keepends=True)
    mixed = [new if json.loads(new).get("call") else old for old, new in zip(kept, lines, strict=True)]
    changed = tmp_path / "changed.jsonl"
    changed.write_text("".join(mixed))
    found = await played("anthropic", source, tmp_path, agent_without_a_server("anthropic"), changed)
    assert not found.identical
