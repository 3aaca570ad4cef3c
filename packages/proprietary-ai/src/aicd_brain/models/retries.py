"""Sending one request until it is answered, within bounds."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from aicd_brain.models.provider import PASSING, ProviderError

AnswerT = TypeVar("AnswerT")
FIRST_WAIT = 1.0
"""Seconds; the next ones are longer, up to `longest`, and each is drawn by chance from up to that."""


@dataclass(frozen=True)
class Patience:
    """How often one model is asked, and the longest wait between two attempts in seconds."""

    attempts: int
    longest: float


async def insist(
    send: Callable[[], Awaitable[AnswerT]], patience: Patience, waiting: Callable[[ProviderError, float], None]
) -> AnswerT:
    """The answer, after as many attempts as it takes and patience allows. Waits as long as the vendor asks to.

    Args:
        waiting: told of each attempt that will be followed by another one, and in how many seconds.

    Raises:
        ProviderError: the last attempt's.
    """
    by_chance = wait_random_exponential(multiplier=FIRST_WAIT, max=patience.longest)

    def wait(state: RetryCallState) -> float:
        asked = _error(state).retry_after
        return by_chance(state) if asked is None else asked

    def is_enough(state: RetryCallState) -> bool:
        return state.attempt_number >= patience.attempts or (_error(state).retry_after or 0) > patience.longest

    async for attempt in AsyncRetrying(
        retry=retry_if_exception(lambda error: isinstance(error, ProviderError) and error.fault in PASSING),
        stop=is_enough,
        wait=wait,
        before_sleep=lambda state: waiting(_error(state), state.upcoming_sleep),
        reraise=True,
    ):
        with attempt:
            return await send()
    raise AssertionError("the loop ends with an answer or an error")


def _error(state: RetryCallState) -> ProviderError:
    assert state.outcome is not None, "an attempt was made"
    error = state.outcome.exception()
    assert isinstance(error, ProviderError), "nothing else is tried again"
    return error
