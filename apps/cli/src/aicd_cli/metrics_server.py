"""`/metrics` for Prometheus, on a port of its own: it tells of all tenants, and no front end is to reach it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aicd_cli.http import Server, listening, plain_config, url_of

PATH = "/metrics"
ENDING_SECONDS = 1
"""For answers under way when the process ends."""
_log = logging.getLogger(__name__)


@asynccontextmanager
async def serving(host: str, port: int, text: Callable[[], Awaitable[bytes]]) -> AsyncIterator[None]:
    """Serves for as long as the block lasts.

    Args:
        text: the figures as they are now.

    Raises:
        UnavailableError: the port cannot be had.
    """

    async def metrics(_: Request) -> Response:
        return Response(await text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    server = Server(plain_config(Starlette(routes=[Route(PATH, metrics)]), ENDING_SECONDS))
    with listening(host, port, "AICD_METRICS_HOST and AICD_METRICS_PORT") as listener:
        _log.info("metrics at %s%s", url_of(listener), PATH)
        serving = asyncio.create_task(server.serve([listener]), name="metrics")
        try:
            yield
        finally:
            server.stop()
            await asyncio.wait({serving})
