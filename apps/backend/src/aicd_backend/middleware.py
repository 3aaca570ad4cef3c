"""What happens to every request before and after its route. Plain ASGI: streams stay streams."""

import logging

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aicd_backend.problems import make_problem, problem_of, problem_response
from aicd_backend.request_id import request_id_of

logger = logging.getLogger(__name__)

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""For an API whose answers are never a page (OWASP's REST security cheat sheet); a route may set its own."""

STRICT_TRANSPORT_SECURITY = "max-age=31536000"


class SecurityHeadersMiddleware:
    """Adds the security headers that the answer does not have yet."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                # Only over TLS: it would lock a host out whose other ports speak plain HTTP.
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT_SECURITY)
            await send(message)

        await self._app(scope, receive, send_secured)


class ErrorBoundaryMiddleware:
    """Turns whatever no handler took into a 500 that tells nothing, and logs it in full."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_watched)
        except Exception as error:
            # Half an answer cannot be taken back: raised on, the server cuts the connection.
            if started:
                raise
            log_unexpected(error, scope)
            response = problem_response(problem_of(error, request_id_of(scope)))
            await response(scope, receive, send)


def log_unexpected(error: Exception, scope: Scope) -> None:
    """Logs an error that is our own fault, with its stack and the request's id."""
    # The path is the caller's text: its repr keeps a line break from forging a log line.
    request = (scope["method"], scope["path"], request_id_of(scope))
    logger.error("Unexpected error in %s %r, request %s", *request, exc_info=error)


class _BodyTooLargeError(Exception):
    """Ends whoever reads the body; leaves `BodyLimitMiddleware` only when half an answer is out."""


class _BodyGuard:
    """Counts a request's body and, once it is too large, drops what the application answers to that."""

    def __init__(self, receive: Receive, send: Send, limit: int) -> None:
        self._receive = receive
        self._send = send
        self._left = limit
        self.started = False

    @property
    def exceeded(self) -> bool:
        return self._left < 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
        if self.exceeded:
            raise _BodyTooLargeError
        return message

    async def send(self, message: Message) -> None:
        if self.exceeded and not self.started:
            return
        self.started = True
        await self._send(message)


class BodyLimitMiddleware:
    """Answers 413 to a body above `limit` bytes: at once when its length is declared, else while it comes in.

    FastAPI's own `max_body_size` stands outside of all middleware, answers in plain text and without a
    request id, and waits for the route before it looks at the declared length.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _declared_length(scope) > self._limit:
            await self._refuse(scope, receive, send)
            return
        guard = _BodyGuard(receive, send, self._limit)
        try:
            await self._app(scope, guard.receive, guard.send)
        except _BodyTooLargeError:
            if guard.started:
                raise
        if guard.exceeded and not guard.started:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"The request body is larger than the {self._limit} bytes that this server takes."
        problem = make_problem(413, request_id_of(scope), detail=detail)
        # The rest of the body is not read, so the connection cannot carry another request.
        await problem_response(problem, {"Connection": "close"})(scope, receive, send)


def _declared_length(scope: Scope) -> int:
    declared = Headers(scope=scope).get("Content-Length", "")
    return int(declared) if declared.isascii() and declared.isdigit() else 0
