"""Whole jobs: whatever the model does, each ends in the right state, and the ledger is the server's own count."""

import json
from collections.abc import Iterator
from itertools import pairwise

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from aicd_brain.testing.jobs import APPROVE, CODE, GREET, PLAN, assert_paid_exactly, of, texts, without_marks
from aicd_brain.testing.scripts import Call, Turn
from aicd_brain.testing.turns import done, finding, planning, reviewing, script, using
from aicd_core.contracts import ReviewVerdict
from aicd_core.jobs.machine import JobEvent, JobState
from aicd_core.telemetry.metrics import REGISTRY
from aicd_core.telemetry.tracing import trace_with

CALLS = "aicd_model_call_seconds_count"
EVERY_API = pytest.mark.parametrize("api", ["anthropic", "responses", "chat"])


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Where the spans of this test end up."""
    found, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(found))
    trace_with(provider)
    yield found
    trace_with(None)


@EVERY_API
async def test_an_issue_becomes_a_pull_request_through_each_vendors_api(play, api, spans):
    stage = play(script([PLAN], [[using("shell", command="date"), *CODE]], [APPROVE]), api)
    report = await stage.run()
    assert (report.job.state, report.job.reason) == (JobState.PR_OPEN, None)
    assert b"+hello world" in report.coded.change_set.patch
    assert report.coded.change.summary == "It is done."
    assert [one.role for one in stage.server.served()] == ["planner", *["coder"] * 4, "critic"]
    assert_paid_exactly(report, stage.server)
    calls = [one.attributes for one in spans.get_finished_spans() if one.name.startswith("chat ")]
    assert len(calls) == 6, "what a tool answered is kept in the journal, too, and is no call of a model"
    vendor = "anthropic" if api == "anthropic" else "openai"
    assert {(one["gen_ai.operation.name"], one["gen_ai.provider.name"]) for one in calls} == {("chat", vendor)}
    assert REGISTRY.get_sample_value(CALLS, {"model": "observation", "outcome": "answered"}) is None


async def test_a_plan_that_is_rejected_twice_and_then_valid_is_carried_out(play):
    wrong = planning("missing.txt")
    circle = planning("greet.txt", acceptance_criteria=[])
    stage = play(script([[wrong], [circle], PLAN], [CODE], [APPROVE]))
    report = await stage.run()
    assert report.job.state is JobState.PR_OPEN
    assert [event.event for event in report.events].count(JobEvent.PLAN_INVALID) == 2
    second, third = of(stage.server, "planner")[1:]
    assert "which does not exist by then" in texts(second)
    assert "missing.txt" in texts(second), "the planner sees the plan that came back"
    assert "no acceptance criterion" in texts(third)
    assert_paid_exactly(report, stage.server)


async def test_three_invalid_plans_fail_the_job_with_what_is_wrong_with_them(play):
    stage = play(script([[planning("missing.txt")], [planning("gone.txt")], [planning("lost.txt")]], [CODE], [APPROVE]))
    report = await stage.run()
    assert (report.job.state, report.job.code) == (JobState.FAILED, "invalid_plan")
    assert "lost.txt" in report.job.reason
    assert_paid_exactly(report, stage.server)


async def test_a_plan_with_faulty_fields_comes_back_numbered_before_the_platform_sees_it(play):
    broken = planning("greet.txt", risk={"level": "huge"}, estimate="much")
    stage = play(script([[broken, *PLAN]], [CODE], [APPROVE]))
    report = await stage.run()
    assert report.job.state is JobState.PR_OPEN
    told = texts(of(stage.server, "planner")[1])
    assert "1. risk.level: Input should be 'low', 'medium' or 'high'" in told
    assert "2. estimate:" in told


@EVERY_API
async def test_a_replace_that_fails_is_told_the_nearest_place_and_then_works(play, api):
    wrong = using("replace", path="greet.txt", old="  hello", new="hello world")
    stage = play(script([PLAN], [[wrong, *CODE]], [APPROVE]), api)
    report = await stage.run()
    assert report.job.state is JobState.PR_OPEN
    told = texts(of(stage.server, "coder")[1])
    assert "It differs only in white space" in told
    assert r"1\thello" in told
    assert_paid_exactly(report, stage.server)


async def test_red_tests_are_rejected_without_asking_the_critic_and_green_ones_approved(play):
    moon = using("replace", path="greet.txt", old="hello", new="hello moon")
    world = using("replace", path="greet.txt", old="moon", new="world")
    stage = play(script([PLAN], [[moon, done(), done()], [world, done(), done()]], [APPROVE]))
    report = await stage.run()
    assert (report.job.state, report.job.status.round) == (JobState.PR_OPEN, 2)
    assert len(of(stage.server, "critic")) == 1
    assert [finding.id for finding in report.reviews[1].findings] == ["tests-red"]
    assert "grep -q world greet.txt" in texts(of(stage.server, "coder")[3])
    assert_paid_exactly(report, stage.server)


async def test_what_the_critic_rejects_reaches_the_coder_and_then_the_critic_again(play):
    again = using("replace", path="greet.txt", old="world", new="whole world")
    rejection = reviewing("reject", finding("too-small", "greet.txt", 1, failure="It greets too little."))
    stage = play(script([PLAN], [CODE, [again, done(), done()]], [[rejection], APPROVE]))
    report = await stage.run()
    assert (report.job.state, report.job.status.round) == (JobState.PR_OPEN, 2)
    assert report.reviews[1].verdict is ReviewVerdict.REJECT
    assert "It greets too little. Reached by: Calling it." in texts(of(stage.server, "coder")[3])
    second = texts(of(stage.server, "critic")[1])
    assert "too-small" in second, "from round 2 on the critic sees its own open findings"
    assert "changed since the round before: a/greet.txt" in second
    assert_paid_exactly(report, stage.server)


@EVERY_API
async def test_malformed_tool_calls_are_answered_with_what_is_wrong(play, api):
    turns = [
        Turn(calls=(Call(name="replace", arguments='{"path": "greet.txt", "old'),)),
        Turn(calls=(Call(name="replace", arguments="[1, 2]"),)),
        Turn(calls=(Call(name="dance", arguments={}),)),
        using("write", path="greet.txt", text="hello world"),
        *CODE,
    ]
    stage = play(script([PLAN], [turns], [APPROVE]), api)
    report = await stage.run()
    assert report.job.state is JobState.PR_OPEN
    asked = [texts(one) for one in of(stage.server, "coder")]
    assert "The arguments are no JSON" in asked[1]
    assert "must be a JSON object" in asked[2]
    assert "There is no tool 'dance'. There are: search, view, replace, write, shell, done." in asked[3]
    assert "1. content: Field required" in asked[4]
    assert_paid_exactly(report, stage.server)


@EVERY_API
async def test_empty_replies_are_nudged_and_end_the_round_when_they_do_not_stop(play, api):
    stage = play(script([PLAN], [[GREET, Turn(), Turn(text="Hm."), Turn()]], [APPROVE]), api)
    report = await stage.run()
    assert report.coded.change.complete is False
    assert "without using a tool" in report.coded.change.notes[0]
    assert len(of(stage.server, "coder")) == 4
    assert "you used no tool" in texts(of(stage.server, "coder")[2])
    assert_paid_exactly(report, stage.server)


async def test_each_coders_prompt_begins_with_the_one_before(play):
    looks = [using("shell", command=f"date +%N; echo {number}") for number in range(8)]
    stage = play(script([PLAN], [[GREET, *looks, done(), done()]], [APPROVE]))
    await stage.run()
    prompts = [[without_marks(message) for message in one.body["messages"]] for one in of(stage.server, "coder")]
    assert len(prompts) == 11
    for before, after in pairwise(prompts):
        assert after[: len(before)] == before
        assert len(after) == len(before) + 2
    heads = {json.dumps([one.body["system"], one.body["tools"]]) for one in of(stage.server, "coder")}
    assert len(heads) == 1


async def test_what_the_model_thought_goes_back_to_it_unchanged(play):
    stage = play(script([PLAN], [CODE], [APPROVE]), "responses")
    await stage.run()
    second = of(stage.server, "coder")[1].body["input"]
    thoughts = [item for item in second if item.get("type") == "reasoning"]
    assert [thought["encrypted_content"] for thought in thoughts] == ["thought-2"]
