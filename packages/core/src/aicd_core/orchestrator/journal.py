"""The journal of one step: numbers its calls, finds kept replies, keeps new ones before they are used."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol

from aicd_core.contracts import ModelReply, ModelRequest
from aicd_core.errors import UnavailableError
from aicd_core.journal.values import Call
from aicd_core.orchestrator.figures import timed_call
from aicd_core.orchestrator.finishing import to_the_end


class Replies(Protocol):
    """Where replies are kept."""

    async def find_reply(self, call: Call) -> ModelReply | None: ...

    async def keep_reply(self, call: Call, reply: ModelReply) -> None: ...


Reserve = Callable[[str, int], AbstractAsyncContextManager[None]]
"""Holds so many micro-USD of the budgets back while a call is under way, under the key of its entry in the ledger;
raises `LimitReachedError` instead."""


def unlimited(entry_key: str, worst_case: int) -> AbstractAsyncContextManager[None]:  # noqa: ARG001 # it may be spent
    """The `Reserve` of a step without a budget."""
    return nullcontext()


class StepJournal:
    """A `Journal` for one step of a job.

    Args:
        step: `plan/<attempt>`, `code/<round>` or `review/<round>`.
        timeout: seconds that one call may take.
        reserve: asked before a call is sent.
    """

    def __init__(self, replies: Replies, step: str, timeout: float, reserve: Reserve = unlimited) -> None:
        self._replies = replies
        self._step = step
        self._timeout = timeout
        self._reserve = reserve
        self.next_number = 0
        self.under_way = 0

    async def call(
        self, request: ModelRequest, send: Callable[[], Awaitable[ModelReply]], *, worst_case: int | None = None
    ) -> ModelReply:
        # The number is taken before anything is awaited: it tells in which order the calls were made.
        number = self.next_number
        self.next_number += 1
        self.under_way += 1
        try:
            return await self._answer(Call(self._step, number, request), send, worst_case)
        except BaseException:
            # A retry stands where the failed call stood, so that a re-run, which has no failure to retry, finds it.
            if self.next_number == number + 1:
                self.next_number = number
            raise
        finally:
            self.under_way -= 1

    async def _answer(
        self, call: Call, send: Callable[[], Awaitable[ModelReply]], worst_case: int | None
    ) -> ModelReply:
        kept = await self._replies.find_reply(call)
        if kept is not None:
            return kept
        async with nullcontext() if worst_case == 0 else self._reserve(call.entry_key, worst_case or 0):
            reply = await timed_call(call.request, self._send(call.request, send))
            await to_the_end(self._replies.keep_reply(call, reply))
        return reply

    async def _send(self, request: ModelRequest, send: Callable[[], Awaitable[ModelReply]]) -> ModelReply:
        try:
            async with asyncio.timeout(self._timeout) as deadline:
                return await send()
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise UnavailableError(
                f"The model {request.model!r} did not answer within {self._timeout:g} s (AICD_MODEL_CALL_TIMEOUT). "
                "The job goes on from the call before when it is resumed.",
                code="model_timeout",
            ) from error
