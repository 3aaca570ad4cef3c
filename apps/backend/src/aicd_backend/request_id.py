"""One id per request: on the answer, in each problem and in the log, so that a person can join the three."""

import logging
import re
import time
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from aicd_cli.watching import PROBES
from aicd_core.ids import new_uuid

HEADER = "X-Request-Id"

_STATE_KEY = "request_id"
_log = logging.getLogger(__name__)
_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def request_id_of(scope: Scope) -> str:
    """The id that `RequestIdMiddleware` gave to this request."""
    request_id: str = scope["state"][_STATE_KEY]
    return request_id


def choose_request_id(offered: list[str]) -> str:
    """The caller's own id if it sent exactly one and it is well formed, else a fresh UUIDv7.

    Well formed is what can be put into a header, a log line and a shell command as it is: 1 to 128 letters,
    digits, `.`, `_`, `-`, beginning with a letter or digit.
    """
    if len(offered) == 1 and _WELL_FORMED.fullmatch(offered[0]):
        return offered[0]
    return str(new_uuid())


class RequestIdMiddleware:
    """Gives each HTTP request its id, puts it on the answer and on each line of the log; the last of these tells of it.

    Of what callers send, that line has no more than the path: a query may hold a login's code.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = choose_request_id(Headers(scope=scope).getlist(HEADER))
        scope.setdefault("state", {})[_STATE_KEY] = request_id

        began, status = time.monotonic(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                _tell(scope, status, time.monotonic() - began)


def _tell(scope: Scope, status: int, seconds: float) -> None:
    told = {"status": status, "seconds": round(seconds, 6), "client": (scope.get("client") or ("unknown",))[0]}
    level = logging.DEBUG if scope["path"] in PROBES else logging.INFO
    _log.log(level, "%s %s: %d", scope["method"], quote(scope["path"]), status, extra=told)
