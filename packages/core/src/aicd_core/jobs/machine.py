"""The life of a job as data, and the pure function that reads it (design §4).

    QUEUED → PLANNING → (AWAITING_APPROVAL) → CODING → REVIEWING → PR_OPEN → MERGED | CLOSED

Nothing here touches a database or a clock; `decide` says what a job becomes when something happened to it.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from aicd_core.errors import ConflictError


class JobState(StrEnum):
    """Where a job is. The value is what the database, the API and the command line show."""

    QUEUED = "queued"
    PLANNING = "planning"
    AWAITING_APPROVAL = "awaiting_approval"
    CODING = "coding"
    REVIEWING = "reviewing"
    PR_OPEN = "pr_open"
    PAUSED = "paused"
    MERGED = "merged"
    CLOSED = "closed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobEvent(StrEnum):
    """What can happen to a job."""

    ADMITTED = "admitted"
    PLAN_INVALID = "plan_invalid"
    PLAN_READY = "plan_ready"
    APPROVAL_ASKED = "approval_asked"
    APPROVED = "approved"
    SENT_BACK = "sent_back"
    CODED = "coded"
    REJECTED = "rejected"
    PUBLISHED = "published"
    FEEDBACK = "feedback"
    GIVEN_UP = "given_up"
    MERGED = "merged"
    CLOSED = "closed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LIMIT_REACHED = "limit_reached"
    RESUMED = "resumed"
    RETRY_SCHEDULED = "retry_scheduled"
    HANDED_OVER = "handed_over"


TERMINAL = frozenset({JobState.MERGED, JobState.CLOSED, JobState.FAILED, JobState.CANCELLED})
OPEN = frozenset(JobState) - TERMINAL
AT_WORK = frozenset({JobState.QUEUED, JobState.PLANNING, JobState.CODING, JobState.REVIEWING})
"""States in which a worker has something to do."""

_S, _E = JobState, JobEvent
TRANSITIONS: MappingProxyType[tuple[JobState, JobEvent], JobState] = MappingProxyType(
    {
        (_S.QUEUED, _E.ADMITTED): _S.PLANNING,
        (_S.PLANNING, _E.PLAN_INVALID): _S.PLANNING,
        (_S.PLANNING, _E.PLAN_READY): _S.CODING,
        (_S.PLANNING, _E.APPROVAL_ASKED): _S.AWAITING_APPROVAL,
        (_S.AWAITING_APPROVAL, _E.APPROVED): _S.CODING,
        (_S.AWAITING_APPROVAL, _E.SENT_BACK): _S.PLANNING,
        (_S.CODING, _E.CODED): _S.REVIEWING,
        (_S.REVIEWING, _E.REJECTED): _S.CODING,
        (_S.REVIEWING, _E.PUBLISHED): _S.PR_OPEN,
        (_S.PR_OPEN, _E.FEEDBACK): _S.CODING,
        # Feedback that is not, or no longer, worked in: the pull request stays as it is, and a person goes on.
        **{(state, _E.GIVEN_UP): _S.PR_OPEN for state in (_S.CODING, _S.REVIEWING, _S.PR_OPEN)},
        (_S.PR_OPEN, _E.MERGED): _S.MERGED,
        (_S.PR_OPEN, _E.CLOSED): _S.CLOSED,
        # A person decides about the pull request while feedback on it is being worked in.
        **{(state, _E.MERGED): _S.MERGED for state in (_S.CODING, _S.REVIEWING, _S.PAUSED)},
        **{(state, _E.CLOSED): _S.CLOSED for state in (_S.CODING, _S.REVIEWING, _S.PAUSED)},
        **{(state, _E.FAILED): _S.FAILED for state in OPEN - {_S.PR_OPEN}},
        **{(state, _E.CANCELLED): _S.CANCELLED for state in OPEN},
        **{(state, _E.LIMIT_REACHED): _S.PAUSED for state in AT_WORK},
        # The job stays where it is; another worker, or the same one later, goes on with it.
        **{(state, _E.RETRY_SCHEDULED): state for state in AT_WORK},
        **{(state, _E.HANDED_OVER): state for state in AT_WORK},
        # RESUMED leads back to the state that the job left: see `decide`. Of what has ended, only what was stopped.
        **{(state, _E.RESUMED): state for state in (_S.PAUSED, _S.CANCELLED)},
    }
)


@dataclass(frozen=True)
class JobStatus:
    """All of a job that decides what may happen next.

    `round` counts reviews from 1 (0 before coding); `plan_attempts` counts the plans that were invalid or sent back;
    `paused_from`, the state that it left, is set exactly while the job is paused or stopped;
    `failures` counts the attempts at the present step that failed for a reason outside of the job. `feedback_rounds`
    counts how often feedback on the pull request was taken up; `first_round` is the round that began with the last of
    it, 1 before there was any.
    """

    state: JobState
    round: int = 0
    plan_attempts: int = 0
    paused_from: JobState | None = None
    failures: int = 0
    feedback_rounds: int = 0
    first_round: int = 1

    @property
    def is_published(self) -> bool:
        """Whether there is a pull request that work on it cannot take away: it came to nothing, and no job failed."""
        return self.state is JobState.PR_OPEN or self.feedback_rounds > 0

    @property
    def reviews(self) -> int:
        """The rounds since the last feedback, or since the beginning: what `max_rounds` limits."""
        return self.round - self.first_round + 1

    @property
    def is_stopped(self) -> bool:
        """Whether it has ended and can be taken up again all the same."""
        return self.state is JobState.CANCELLED and self.paused_from is not None


class IllegalTransitionError(ConflictError):
    """The event cannot happen to a job in this state."""

    default_code = "illegal_transition"


def can_happen(job: JobStatus, event: JobEvent) -> bool:
    """Whether the table has it, and, of going back, whether the job left something."""
    return (job.state, event) in TRANSITIONS and (event is not JobEvent.RESUMED or job.paused_from is not None)


def _named(value: JobState | JobEvent) -> str:
    return value.value.replace("_", " ")


def decide(job: JobStatus, event: JobEvent) -> JobStatus:
    """What `job` becomes by `event`.

    Raises:
        IllegalTransitionError: the table has no such transition.
    """
    if not can_happen(job, event):
        fit = ", ".join(_named(of) for of, possible in TRANSITIONS if possible is event and of is not job.state)
        raise IllegalTransitionError(
            f"A job that is {_named(job.state)} cannot be {_named(event)}; one of these can: {fit}."
        )
    target = TRANSITIONS[job.state, event]
    if event is JobEvent.HANDED_OVER:
        return job
    if event is JobEvent.RETRY_SCHEDULED:
        return replace(job, failures=job.failures + 1)
    moved = replace(job, state=target, failures=0)
    match event:
        case JobEvent.PLAN_INVALID | JobEvent.SENT_BACK:
            return replace(moved, plan_attempts=job.plan_attempts + 1)
        case JobEvent.LIMIT_REACHED:
            return replace(moved, paused_from=job.state)
        case JobEvent.RESUMED:
            assert job.paused_from is not None, "it was looked at above"
            return replace(moved, state=job.paused_from, paused_from=None)
        case JobEvent.FEEDBACK:
            begun = job.round + 1
            return replace(moved, round=begun, first_round=begun, feedback_rounds=job.feedback_rounds + 1)
        case _ if target is JobState.CODING:
            return replace(moved, round=job.round + 1)
        case _:
            return replace(moved, paused_from=None)


def stop(job: JobStatus) -> JobStatus:
    """What a job at work becomes that is cancelled since no more work is done for its organization: RESUMED leads back.

    Raises:
        IllegalTransitionError: it is not at work.
    """
    return replace(decide(job, JobEvent.CANCELLED), paused_from=decide(job, JobEvent.LIMIT_REACHED).paused_from)
