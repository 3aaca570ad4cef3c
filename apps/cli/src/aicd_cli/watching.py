"""Counting and tracing requests. Plain ASGI: streams stay streams."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aicd_core.telemetry.metrics import HTTP_REQUESTS, HTTP_SECONDS
from aicd_core.telemetry.tracing import SpanKind, span

UNMATCHED = "unmatched"
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
"""Others are the caller's own words, and are counted as `OTHER`."""
PROBES = frozenset({"/healthz", "/readyz"})
"""Asked every few seconds, and not traced."""
BROKEN_OFF = "none"
"""The status of a request whose caller left before it was answered."""


class WatchingMiddleware:
    """Counts and traces every request by its route's template, never by its path; counts time until its answer begins.

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

        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        try:
            if scope["path"] in PROBES:
                await self._app(scope, receive, send_watched)
            else:
                await self._traced(method, scope, receive, send_watched)
        finally:
            route = _route_of(scope)
            HTTP_REQUESTS.labels(method, route, status).inc()
            if status != BROKEN_OFF:
                HTTP_SECONDS.labels(method, route).observe(seconds)

    async def _traced(self, method: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Of the request, no more is told than OpenTelemetry's conventions name, and nothing that callers chose."""
        with span(method, {"http.request.method": method}, kind=SpanKind.SERVER) as told:

            async def send_told(message: Message) -> None:
                if message["type"] == "http.response.start":
                    told.set_attribute("http.response.status_code", message["status"])
                await send(message)

            try:
                await self._app(scope, receive, send_told)
            finally:
                told.update_name(f"{method} {_route_of(scope)}")
                told.set_attribute("http.route", _route_of(scope))


def _route_of(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", UNMATCHED))
