"""Errors that tell the reader what happened, to what, and what to do next.

An error carries a `kind` (how the edge should treat it) and a stable `code` (what a program may match on).
Nothing here knows HTTP statuses or exit codes: the edges translate.
"""

from enum import StrEnum


class ErrorKind(StrEnum):
    """How an edge should treat an error; the only thing it may branch on."""

    INVALID_INPUT = "invalid_input"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    STOPPED = "stopped"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"
    INTERNAL = "internal"


class AicdError(Exception):
    """Base of all errors that a person may read.

    Args:
        message: one or two sentences: what happened, to what, what to do.
        code: stable snake_case name of this very case; defaults to the class's.
    """

    kind: ErrorKind = ErrorKind.INTERNAL
    default_code = "internal"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code


class InvalidInputError(AicdError):
    """What the caller handed in cannot be used as it is."""

    kind = ErrorKind.INVALID_INPUT
    default_code = "invalid_input"


class UnauthenticatedError(AicdError):
    """A credential (a key, a session's token) is not, or no longer, good for anything."""

    kind = ErrorKind.UNAUTHENTICATED
    default_code = "unauthenticated"


class ForbiddenError(AicdError):
    """Whoever asks is known, and may not do this."""

    kind = ErrorKind.FORBIDDEN
    default_code = "forbidden"


class NotFoundError(AicdError):
    """The thing named does not exist, or not for this caller."""

    kind = ErrorKind.NOT_FOUND
    default_code = "not_found"


class ConflictError(AicdError):
    """Somebody else changed the thing first; read again and decide anew."""

    kind = ErrorKind.CONFLICT
    default_code = "conflict"


class StoppedError(AicdError):
    """The organization may have no work done for now, whoever asks; the message says what lifts that."""

    kind = ErrorKind.STOPPED
    default_code = "stopped"


class UnavailableError(AicdError):
    """Something that AI-CD needs is missing or down: a program, a server, disk space."""

    kind = ErrorKind.UNAVAILABLE
    default_code = "unavailable"


class StepFailedError(AicdError):
    """A step of a job cannot succeed, now or when repeated: the job fails with this message as its reason."""

    kind = ErrorKind.FAILED
    default_code = "step_failed"


class LimitReachedError(AicdError):
    """The job may not spend more: it pauses with this message as its reason, and goes on when the limit is raised."""

    kind = ErrorKind.FAILED
    default_code = "limit_reached"
