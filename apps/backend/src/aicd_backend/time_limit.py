"""A request is answered in time, or told that it was not."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aicd_backend.problems import make_problem, problem_response
from aicd_backend.request_id import request_id_of


class TimeLimitMiddleware:
    """Answers 503 when no answer has begun after `limit` seconds; one that has begun, such as a stream, may go on.

    The time in which the body comes in counts, so that nobody holds a connection by sending it slowly.
    """

    def __init__(self, app: ASGIApp, limit: float) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._limit) as deadline:

                async def send_in_time(message: Message) -> None:
                    if not deadline.expired():
                        deadline.reschedule(None)
                        await send(message)

                await self._app(scope, receive, send_in_time)
        except TimeoutError:
            if not deadline.expired():
                raise
            detail = f"No answer was ready within {self._limit:g} s. Look whether it was done before you repeat it."
            problem = make_problem(503, request_id_of(scope), code="request_timed_out", detail=detail)
            await problem_response(problem, {"Connection": "close"})(scope, receive, send)
