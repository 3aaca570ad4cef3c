"""Counting requests. Plain ASGI: streams stay streams."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aicd_core.telemetry.metrics import HTTP_REQUESTS, HTTP_SECONDS

UNMATCHED = "unmatched"
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
"""Others are the caller's own words, and are counted as `OTHER`."""
BROKEN_OFF = "none"
"""The status of a request whose caller left before it was answered."""


class WatchingMiddleware:
    """Counts every request by its route's template, never by its path, and times it until its answer begins.

    It stands around everything else, so that what is refused early is counted, too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, seconds = time.monotonic(), BROKEN_OFF, 0.0

        async def send_watched(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = str(message["status"]), time.monotonic() - began
            await send(message)

        try:
            await self._app(scope, receive, send_watched)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "OTHER"
            route = str(getattr(scope.get("route"), "path", UNMATCHED))
            HTTP_REQUESTS.labels(method, route, status).inc()
            if status != BROKEN_OFF:
                HTTP_SECONDS.labels(method, route).observe(seconds)
