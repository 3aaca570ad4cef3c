"""What people are told who steer jobs. Pure."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from aicd_core.jobs.machine import JobState
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator.quoting import defused
from aicd_core.text import one_line

HELP = """\
| comment | what it does |
| --- | --- |
| `/aicd plan` | starts a job whose plan waits for approval |
| `/aicd go` | approves the plan that waits; starts a job where there is none |
| `/aicd stop` | ends the job; a pull request that is open stays as it is |
| `/aicd retry` | starts anew after an end, and takes up again what was paused or stopped |
| `/aicd budget 5` | raises what the job may cost to 5 US dollars, and takes it up again if it had paused there |
| `/aicd help` | shows this |

Each on a line of its own, by somebody with write access. Closing the issue ends a job that has no pull request yet."""

_NOW: Mapping[JobState | None, str] = MappingProxyType(
    {
        None: "There is no job of this issue. `/aicd go` starts one.",
        JobState.QUEUED: "The job waits for a worker, and then goes on by itself. `/aicd stop` ends it.",
        JobState.PLANNING: "The job is being planned, and goes on by itself. `/aicd stop` ends it.",
        JobState.AWAITING_APPROVAL: "The plan waits: `/aicd go` carries it out, `/aicd stop` drops it.",
        JobState.CODING: "The job is at work, past its plan, and goes on by itself. `/aicd stop` ends it.",
        JobState.REVIEWING: "The job is at work, past its plan, and goes on by itself. `/aicd stop` ends it.",
        JobState.PR_OPEN: "The pull request is open: merge it, close it, or say in a review what to change.",
        JobState.PAUSED: "The job is paused. `/aicd budget N` raises its limit, `/aicd retry` takes it up again.",
        JobState.MERGED: "The pull request was merged. `/aicd go` starts another job.",
        JobState.CLOSED: "The pull request was closed. `/aicd retry` starts anew.",
        JobState.FAILED: "The job failed. `/aicd retry` starts anew.",
        JobState.CANCELLED: "The job was cancelled. `/aicd retry` starts anew.",
    }
)
BEGINS = "**AI-CD:** a job of this issue begins."
NO_JOB = "**AI-CD:** no job works on this issue."


def now(job: JobView | None) -> str:
    """How things are, and what can be done about them."""
    if job is not None and job.status.is_stopped:
        return "The job has ended. `/aicd retry` takes it up again where it was, `/aicd go` starts anew."
    return _NOW[None if job is None else job.state]


def note(what: str, login: str, at: datetime, words: str) -> str:
    """The answer to somebody, for the living comment; nobody is called by it, whatever they made it repeat."""
    return f"**To {what}** of `{one_line(login, 80)}`, {at:%Y-%m-%d %H:%M} UTC: {defused(words)}"


def usd(micro: int) -> str:
    return f"{micro / 1_000_000:.2f} USD"
