"""What the process's exit code says (design §8), as data."""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from aicd_core.errors import AicdError, ErrorKind
from aicd_core.jobs.machine import JobState
from aicd_core.jobs.values import JobView


class ExitCode(IntEnum):
    """Exit codes of every `aicd` command."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    JOB_FAILED = 3
    POLICY_DENIED = 4
    WAITING = 5
    CANCELLED = 130


BY_KIND: Mapping[ErrorKind, ExitCode] = MappingProxyType(
    {
        ErrorKind.INVALID_INPUT: ExitCode.USAGE,
        ErrorKind.UNAUTHENTICATED: ExitCode.USAGE,
        ErrorKind.FORBIDDEN: ExitCode.USAGE,
        ErrorKind.NOT_FOUND: ExitCode.USAGE,
        ErrorKind.FAILED: ExitCode.JOB_FAILED,
        ErrorKind.STOPPED: ExitCode.WAITING,
        ErrorKind.CONFLICT: ExitCode.UNEXPECTED,
        ErrorKind.UNAVAILABLE: ExitCode.UNEXPECTED,
        ErrorKind.INTERNAL: ExitCode.UNEXPECTED,
    }
)

BY_STATE: Mapping[JobState, ExitCode] = MappingProxyType(
    {
        JobState.PR_OPEN: ExitCode.OK,
        JobState.MERGED: ExitCode.OK,
        JobState.CLOSED: ExitCode.OK,
        JobState.FAILED: ExitCode.JOB_FAILED,
        JobState.CANCELLED: ExitCode.CANCELLED,
        JobState.PAUSED: ExitCode.WAITING,
        JobState.AWAITING_APPROVAL: ExitCode.WAITING,
    }
)


def of_error(error: AicdError) -> ExitCode:
    """The exit code of an error that ended the command."""
    return BY_KIND[error.kind]


def of_job(job: JobView) -> ExitCode:
    """The exit code of a run that left the job in this state; a state at work means that the run was cut off."""
    if job.state is JobState.FAILED and job.code == "policy_denied":
        return ExitCode.POLICY_DENIED
    return BY_STATE.get(job.state, ExitCode.UNEXPECTED)
