"""The life of a job: every path of the table, and no other."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aicd_core.jobs.machine import (
    AT_WORK,
    OPEN,
    TERMINAL,
    TRANSITIONS,
    IllegalTransitionError,
    JobEvent,
    JobState,
    JobStatus,
    can_happen,
    decide,
    stop,
)


def follow(*events: JobEvent) -> JobStatus:
    status = JobStatus(JobState.QUEUED)
    for event in events:
        status = decide(status, event)
    return status


def test_a_good_issue_goes_straight_to_its_pull_request():
    status = follow(JobEvent.ADMITTED, JobEvent.PLAN_READY, JobEvent.CODED, JobEvent.PUBLISHED)
    assert status == JobStatus(JobState.PR_OPEN, round=1)


def test_a_rejection_starts_the_next_round():
    status = follow(JobEvent.ADMITTED, JobEvent.PLAN_READY, JobEvent.CODED, JobEvent.REJECTED)
    assert status == JobStatus(JobState.CODING, round=2)


def test_feedback_on_the_pull_request_starts_the_next_round():
    status = follow(JobEvent.ADMITTED, JobEvent.PLAN_READY, JobEvent.CODED, JobEvent.PUBLISHED, JobEvent.FEEDBACK)
    assert status == JobStatus(JobState.CODING, round=2, first_round=2, feedback_rounds=1)
    assert (status.reviews, status.is_published) == (1, True)
    again = decide(decide(status, JobEvent.CODED), JobEvent.REJECTED)
    assert (again.reviews, again.first_round) == (2, 2)


def test_feedback_that_comes_to_nothing_leaves_the_pull_request_open():
    open_ = follow(JobEvent.ADMITTED, JobEvent.PLAN_READY, JobEvent.CODED, JobEvent.PUBLISHED)
    coding = decide(open_, JobEvent.FEEDBACK)
    for status in (open_, coding, decide(coding, JobEvent.CODED)):
        assert decide(status, JobEvent.GIVEN_UP).state is JobState.PR_OPEN


def test_a_plan_that_is_invalid_or_sent_back_is_counted():
    invalid = follow(JobEvent.ADMITTED, JobEvent.PLAN_INVALID, JobEvent.PLAN_INVALID)
    assert invalid == JobStatus(JobState.PLANNING, plan_attempts=2)
    back = decide(decide(invalid, JobEvent.APPROVAL_ASKED), JobEvent.SENT_BACK)
    assert back == JobStatus(JobState.PLANNING, plan_attempts=3)


@pytest.mark.parametrize("state", sorted(AT_WORK))
def test_a_limit_pauses_and_raising_it_leads_back_to_the_state_that_was_left(state: JobState):
    before = JobStatus(state, round=2, plan_attempts=1)
    paused = decide(before, JobEvent.LIMIT_REACHED)
    assert paused.state is JobState.PAUSED
    assert paused.paused_from is state
    assert decide(paused, JobEvent.RESUMED) == before


@pytest.mark.parametrize("state", sorted(AT_WORK))
def test_a_stopped_job_has_ended_and_can_only_be_taken_up_where_it_was(state: JobState):
    before = JobStatus(state, round=2, plan_attempts=1)
    stopped = stop(before)
    assert (stopped.state, stopped.is_stopped) == (JobState.CANCELLED, True)
    for event in set(JobEvent) - {JobEvent.RESUMED}:
        with pytest.raises(IllegalTransitionError):
            decide(stopped, event)
    assert decide(stopped, JobEvent.RESUMED) == before


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_nothing_happens_to_a_job_that_has_ended(state: JobState):
    for event in JobEvent:
        with pytest.raises(IllegalTransitionError, match=state.value):
            decide(JobStatus(state), event)


def test_every_open_job_can_be_cancelled_and_every_one_without_a_pull_request_can_fail():
    assert {state for state, event in TRANSITIONS if event is JobEvent.CANCELLED} == OPEN
    assert {state for state, event in TRANSITIONS if event is JobEvent.FAILED} == OPEN - {JobState.PR_OPEN}


def test_every_state_can_be_reached_from_the_first():
    seen, ahead = {JobStatus(JobState.QUEUED)}, deque([JobStatus(JobState.QUEUED)])
    while ahead:
        status = ahead.popleft()
        for event in JobEvent:
            if not can_happen(status, event) or status.round > 2 or status.plan_attempts > 2 or status.failures > 1:
                continue
            following = decide(status, event)
            if following not in seen:
                seen.add(following)
                ahead.append(following)
    assert {status.state for status in seen} == set(JobState)


@given(st.lists(st.sampled_from(JobEvent), max_size=60))
def test_no_sequence_of_events_reaches_an_inconsistent_job(events: list[JobEvent]):
    status = JobStatus(JobState.QUEUED)
    for event in events:
        try:
            after = decide(status, event)
        except IllegalTransitionError:
            unknown = (status.state, event) not in TRANSITIONS
            assert unknown or (status.state, event) == (JobState.CANCELLED, JobEvent.RESUMED)
            continue
        if event is not JobEvent.RESUMED:
            assert after.state is TRANSITIONS[status.state, event]
        assert (after.state is JobState.PAUSED or after.is_stopped) == (after.paused_from is not None)
        assert after.round >= status.round
        assert after.round - status.round <= 1
        assert status.state not in TERMINAL or (status.is_stopped and event is JobEvent.RESUMED)
        status = after
