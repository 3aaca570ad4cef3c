"""Calling an agent: somebody else's code, whose mistakes are the job's failure and nobody else's."""

from collections.abc import Awaitable
from typing import TypeVar

from aicd_core.contracts.values import Value
from aicd_core.errors import AicdError, ErrorKind, StepFailedError

AnswerT = TypeVar("AnswerT", bound=Value)

ITS_OWN = frozenset({ErrorKind.INVALID_INPUT, ErrorKind.NOT_FOUND})
"""Errors that the workspace gives an agent for what it asked; those of the platform pass through."""


async def answer(call: Awaitable[AnswerT], kind: type[AnswerT], agent: str) -> AnswerT:
    """What the agent answers, proven to be of the kind that its contract promises.

    Raises:
        StepFailedError: what the agent says it cannot do; or code `agent_error`, for an exception of its own or an
            answer of another kind.
    """
    try:
        given = await call
    except AicdError as error:
        if error.kind in ITS_OWN:
            raise StepFailedError(error.message, code=error.code) from error
        raise
    except Exception as error:
        raise StepFailedError(
            f"The agent {agent!r} raised {type(error).__name__}: {error}. Report this to whoever wrote it.",
            code="agent_error",
        ) from error
    if not isinstance(given, kind):
        raise StepFailedError(
            f"The agent {agent!r} answered with {type(given).__name__} where {kind.__name__} was due. Report this to "
            "whoever wrote it.",
            code="agent_error",
        )
    return given
