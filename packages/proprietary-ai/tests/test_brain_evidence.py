"""The prompts of a job are in its evidence, by name, version and hash, and `aicd verify` compares them."""

import hashlib
from importlib import resources
from pathlib import Path

import psycopg
from psycopg.types.json import Jsonb

from aicd_brain.testing.turns import done, finding, planning, reviewing, script, using
from aicd_core.attestation import check_stored, open_envelope, verifying_keys
from aicd_core.jobs.machine import JobState
from aicd_core.orchestrator import Replay, read_stored_facts

ONE = [using("shell", command="echo world >> greet.txt"), done(), done()]
TWO = [using("shell", command="echo again >> greet.txt"), done(), done()]
PLAN = [planning("greet.txt")]
APPROVE = [reviewing("approve")]


def differing(told, raw, found) -> list[str]:
    return [check.name for check in check_stored(told, raw, found) if check.result.value == "differs"]


async def bundle_of(stage, report):
    raw = Path(report.pull_request.evidence_url.removeprefix("file://")).read_bytes()
    return raw, open_envelope(raw, verifying_keys(stage.body.settings)).statement.predicate


async def test_the_evidence_names_every_prompt_that_took_part_and_no_other(play):
    stage = play(script([PLAN], [ONE], [APPROVE]))
    report = await stage.run()
    _, told = await bundle_of(stage, report)
    named = [(prompt.role, prompt.name) for prompt in told.prompts]
    assert named == [(role, role + tail) for role in ("coder", "critic", "planner") for tail in ("", "_task")]
    for prompt in told.prompts:
        file = resources.files("aicd_brain") / "prompts" / f"{prompt.name}.md"
        assert prompt.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        assert f"version = {prompt.version}\n" in file.read_text()


async def test_the_prompts_of_what_came_back_are_named_too_and_a_replay_is_exact(play, body):
    rejects = [reviewing("reject", finding("f", "greet.txt", 2), met=False)]
    stage = play(script([[planning("missing.txt")], PLAN], [ONE, TWO], [rejects, APPROVE]))
    report = await stage.run()
    assert report.job.state is JobState.PR_OPEN, report.job.reason
    _, told = await bundle_of(stage, report)
    names = {prompt.name for prompt in told.prompts}
    assert {"planner_errors", "coder_feedback", "critic_again"} <= names
    found = await Replay(body.parts(), body.tenant).run(report.job.id)
    assert found.identical, found


async def test_verify_finds_that_stored_calls_were_made_from_other_prompts(play, body, database_urls):
    stage = play(script([PLAN], [ONE], [APPROVE]))
    report = await stage.run()
    raw, told = await bundle_of(stage, report)
    assert differing(told, raw, await read_stored_facts(body.database, body.tenant, report.job.id, told)) == []
    with psycopg.connect(database_urls.admin) as connection:
        other = [{"role": "planner", "name": "planner", "version": 1, "sha256": "0" * 64}]
        connection.execute("UPDATE model_calls SET prompts = %s WHERE step = 'plan/0'", (Jsonb(other),))
    assert differing(told, raw, await read_stored_facts(body.database, body.tenant, report.job.id, told)) == ["prompts"]
