"""Whole jobs while the vendor's service fails: nothing is lost, and what is paid is what the server counted."""

import pytest

from aicd_brain.testing.jobs import APPROVE, CODE, GREET, PLAN, assert_paid_exactly, of, texts
from aicd_brain.testing.scripts import Call, Failure, Turn
from aicd_brain.testing.turns import done, script, using
from aicd_core.errors import UnavailableError
from aicd_core.jobs.machine import JobState

EVERY_API = pytest.mark.parametrize("api", ["anthropic", "responses", "chat"])


@EVERY_API
async def test_an_answer_that_is_cut_at_its_longest_carries_out_nothing(play, api):
    cut = Turn(calls=(Call(name="write", arguments='{"path": "greet.txt", "content": "wor'),), stop="length")
    stage = play(script([PLAN], [[cut, *CODE]], [APPROVE]), api)
    report = await stage.run()
    assert report.job.state is JobState.PR_OPEN
    assert "cut off at its longest" in texts(of(stage.server, "coder")[1])
    assert_paid_exactly(report, stage.server)


TOO_LONG = {
    "anthropic": Failure(status=400, detail="prompt is too long: 250000 tokens > 200000 maximum", times=1),
    "chat": Failure(status=400, detail="This model's maximum context length is 8192 tokens.", times=1),
    "responses": Failure(status=400, detail="Your input exceeds the context window of this model.", times=1),
}


@EVERY_API
async def test_a_conversation_that_is_too_long_is_compacted_and_goes_on(play, api):
    look = [using("shell", command=f"seq {number} 400") for number in range(6)]
    overflow = GREET.model_copy(update={"failures": (TOO_LONG[api],)})
    stage = play(script([PLAN], [[*look, overflow, GREET, done(), done()]], [APPROVE]), api)
    report = await stage.run()
    assert report.job.state is JobState.PR_OPEN
    before, after = of(stage.server, "coder")[6:8]
    assert before.status == 400
    assert len(texts(before)) - len(texts(after)) > 3_000
    assert "[cleared to save room" in texts(after)
    assert "Carry out the plan below." in texts(after), "the head of the conversation stays"
    assert_paid_exactly(report, stage.server)


async def test_a_conversation_that_fits_no_way_fails_the_job_with_what_to_do(play):
    never = Turn(failures=(TOO_LONG["anthropic"].model_copy(update={"times": 99}),))
    stage = play(script([PLAN], [[never]], [APPROVE]))
    report = await stage.run()
    assert (report.job.state, report.job.code) == (JobState.FAILED, "context_overflow")
    assert_paid_exactly(report, stage.server)


@EVERY_API
@pytest.mark.parametrize("status", [429, 500, 529])
async def test_a_storm_of_errors_is_waited_out_and_costs_nothing(play, api, status):
    storm = GREET.model_copy(update={"failures": (Failure(status=status, retry_after=0.01, times=4),)})
    stage = play(script([PLAN], [[storm, done(), done()]], [APPROVE]), api)
    report = await stage.run()
    assert report.job.state is JobState.PR_OPEN
    assert [one.status for one in of(stage.server, "coder")] == [*[status] * 4, 200, 200, 200]
    assert_paid_exactly(report, stage.server)


async def test_a_storm_that_does_not_end_leaves_the_job_to_be_resumed_from_the_call_before(play):
    storm = done().model_copy(update={"failures": (Failure(status=429, times=5),)})
    stage = play(script([PLAN], [[GREET, storm, done()]], [APPROVE]))
    with pytest.raises(UnavailableError, match="goes on from the call before") as caught:
        await stage.run()
    assert caught.value.code == "model_rate_limited"
    report = await stage.run()
    assert report.job.state is JobState.PR_OPEN
    answered = [(one.role, one.turn) for one in stage.server.answered()]
    assert len(answered) == len(set(answered)), "nothing that was answered was asked again"
    assert_paid_exactly(report, stage.server)


async def test_a_vendor_that_asks_for_a_longer_wait_than_allowed_is_not_waited_for(play):
    busy = Turn(failures=(Failure(status=429, retry_after=3600, times=99),))
    stage = play(script([[busy]], [CODE], [APPROVE]))
    with pytest.raises(UnavailableError):
        await stage.run()
    assert len(stage.server.served()) == 1


async def test_another_model_is_asked_when_the_first_stays_overloaded(play):
    away = Failure(status=529, model="claude-sonnet-5-5", times=99)
    stage = play(
        script([PLAN], [[GREET.model_copy(update={"failures": (away,)}), done(), done()]], [APPROVE]),
        fallback_model="claude-opus-5-5",
        model_attempts=2,
    )
    report = await stage.run()
    assert report.job.state is JobState.PR_OPEN
    asked = [(one.model, one.status) for one in of(stage.server, "coder")][:3]
    assert asked == [("claude-sonnet-5-5", 529), ("claude-sonnet-5-5", 529), ("claude-opus-5-5", 200)]
    assert_paid_exactly(report, stage.server)


@EVERY_API
@pytest.mark.parametrize("events", [0, 1, 4])
async def test_a_reply_that_is_cut_off_is_asked_for_again_and_what_it_cost_is_booked(play, api, events):
    cut = GREET.model_copy(update={"failures": (Failure(cut_after=events, times=2),)})
    stage = play(script([PLAN], [[cut, done(), done()]], [APPROVE]), api)
    report = await stage.run()
    assert report.job.state is JobState.PR_OPEN
    assert [one.cut for one in of(stage.server, "coder")] == [True, True, False, False, False]
    assert_paid_exactly(report, stage.server)


async def test_a_reply_that_is_always_cut_off_is_booked_although_it_came_to_nothing(play):
    cut = GREET.model_copy(update={"failures": (Failure(cut_after=3, times=2),)})
    stage = play(script([PLAN], [[cut, done(), done()]], [APPROVE]), model_attempts=2)
    with pytest.raises(UnavailableError, match="cut_off"):
        await stage.run()
    report = await stage.run()
    assert report.job.state is JobState.PR_OPEN
    assert_paid_exactly(report, stage.server)


@EVERY_API
async def test_a_model_that_falls_silent_is_asked_again_and_a_slow_one_is_waited_for(play, api):
    silent = GREET.model_copy(update={"failures": (Failure(stall=3),)})
    slow = done().model_copy(update={"pace": 0.05})
    stage = play(script([PLAN], [[silent, slow, done()]], [APPROVE]), api, model_stall=1.0)
    report = await stage.run()
    assert report.job.state is JobState.PR_OPEN
    assert [one.attempt for one in of(stage.server, "coder")] == [0, 1, 0, 0]
