"""Whatever happens to a job, in whatever order: no illegal state, and no job that nobody would find."""

from collections import deque
from functools import cache

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

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

WAITING = frozenset({JobState.AWAITING_APPROVAL, JobState.PAUSED, JobState.PR_OPEN})
"""Open states in which the job waits for a person or for the code host."""
BY_WORKERS = frozenset(
    {
        *(JobEvent.ADMITTED, JobEvent.PLAN_INVALID, JobEvent.PLAN_READY, JobEvent.APPROVAL_ASKED, JobEvent.CODED),
        *(JobEvent.REJECTED, JobEvent.PUBLISHED, JobEvent.FAILED, JobEvent.GIVEN_UP),
    }
)
"""What workers alone bring about."""


class JobLife(RuleBasedStateMachine):
    """One job, to which anything may happen; beside it, what it must be by what has happened."""

    def __init__(self) -> None:
        super().__init__()
        self.job = JobStatus(JobState.QUEUED)
        self.reviews = self.plans = self.failures = 0
        self.left: JobState | None = None

    @rule(event=st.sampled_from(JobEvent))
    def happens(self, event: JobEvent) -> None:
        """An event that the table has is followed; any other changes nothing."""
        before = self.job
        if (before.state, event) not in TRANSITIONS or (event is JobEvent.RESUMED and self.left is None):
            with pytest.raises(IllegalTransitionError):
                decide(before, event)
            return
        self.job = decide(before, event)
        self._count(before, event)

    def _count(self, before: JobStatus, event: JobEvent) -> None:
        begins_round = {JobEvent.PLAN_READY, JobEvent.APPROVED, JobEvent.REJECTED, JobEvent.FEEDBACK}
        self.reviews += event in begins_round
        self.plans += event in {JobEvent.PLAN_INVALID, JobEvent.SENT_BACK}
        self.left = before.state if event is JobEvent.LIMIT_REACHED else None
        if event is JobEvent.RETRY_SCHEDULED:
            self.failures += 1
        elif event is not JobEvent.HANDED_OVER:
            self.failures = 0

    @precondition(lambda self: self.job.state in AT_WORK)
    @rule()
    def is_stopped(self) -> None:
        """Ends, and knows what it left."""
        self.left, self.job, self.failures = self.job.state, stop(self.job), 0

    @precondition(lambda self: self.left is not None)
    @rule()
    def is_resumed(self) -> None:
        """Leads back to exactly where the limit was reached, or where it was stopped."""
        left = self.left
        self.happens(JobEvent.RESUMED)
        assert self.job.state is left

    @invariant()
    def counts_are_what_happened(self) -> None:
        assert (self.job.round, self.job.plan_attempts, self.job.failures) == (self.reviews, self.plans, self.failures)

    @invariant()
    def knows_what_it_left_exactly_while_it_is_paused_or_stopped(self) -> None:
        assert self.job.paused_from is self.left
        assert (self.job.paused_from is not None) == (self.job.state is JobState.PAUSED or self.job.is_stopped)
        assert self.job.paused_from is None or self.job.paused_from in AT_WORK

    @invariant()
    def is_never_lost(self) -> None:
        """A worker is due, or somebody is waited for, or it has ended; and there is a way to the end."""
        assert [self.job.state in states for states in (AT_WORK, WAITING, TERMINAL)].count(True) == 1
        assert ends_of(self.job.state, self.job.paused_from)

    @invariant()
    def has_ended_for_good_or_can_be_cancelled(self) -> None:
        events = {event for state, event in TRANSITIONS if state is self.job.state}
        if self.job.state is JobState.CANCELLED and self.left is None:
            events -= {JobEvent.RESUMED}
        assert (self.job.state in TERMINAL and not self.job.is_stopped) == (not events)
        assert not self.job.is_stopped or events == {JobEvent.RESUMED}
        assert (JobEvent.CANCELLED in events) == (self.job.state in OPEN)


@cache
def ends_of(state: JobState, left: JobState | None) -> frozenset[JobState]:
    """The terminal states that can be reached from here, other than by cancelling."""
    seen, ahead = {(state, left)}, deque([JobStatus(state, paused_from=left)])
    while ahead:
        status = ahead.popleft()
        for of, event in TRANSITIONS:
            if of is not status.state or event is JobEvent.CANCELLED:
                continue
            if not can_happen(status, event):
                continue
            following = decide(status, event)
            if (following.state, following.paused_from) not in seen:
                seen.add((following.state, following.paused_from))
                ahead.append(JobStatus(following.state, paused_from=following.paused_from))
    return frozenset(state for state, _ in seen) & TERMINAL


def test_workers_alone_bring_a_job_to_its_pull_request_or_its_failure():
    """Without anybody's help, no job stays at work for ever: each state has a way out."""
    for state in AT_WORK:
        outcomes = {TRANSITIONS[state, event] for event in BY_WORKERS if (state, event) in TRANSITIONS}
        assert JobState.FAILED in outcomes
        assert outcomes - {state, JobState.FAILED}


TestJobLife = JobLife.TestCase
TestJobLife.settings = hypothesis.settings(max_examples=200, stateful_step_count=40, deadline=None)
