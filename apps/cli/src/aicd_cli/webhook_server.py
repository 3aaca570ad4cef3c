"""A process that takes GitHub's deliveries in, and does nothing else; see `commands.github` for why it stands alone."""

import logging

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aicd_cli.http import Server, listening, plain_config
from aicd_cli.metering import metered
from aicd_cli.readiness import ReadyCheck, SharedCheck
from aicd_cli.receiving import open_route, secrets_of
from aicd_cli.serving import StopBy, store_once_there, until_told_to_stop
from aicd_cli.tracing import traced
from aicd_cli.watching import WatchingMiddleware
from aicd_core.settings import Settings
from aicd_github.webhooks.app import PATH, PROBLEM_TYPE

POOL = 10
"""Connections: so many deliveries are stored at once, and the others wait their turn."""
SHUTDOWN_SECONDS = 10
READY_SECONDS = 2.0
"""Within so many seconds `/readyz` answers."""
_log = logging.getLogger(__name__)


def health_routes(ready: ReadyCheck) -> tuple[Route, Route]:
    """`/healthz`: the process is alive. `/readyz`: deliveries can be stored, else 503."""
    check = SharedCheck(ready, READY_SECONDS)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        if await check.passes():
            return JSONResponse({"status": "ok"})
        detail = "Deliveries cannot be stored now: Postgres does not answer. The server's log says more."
        problem = {"type": "about:blank", "status": 503, "code": "not_ready", "detail": detail}
        return JSONResponse(problem, 503, media_type=PROBLEM_TYPE)

    return Route("/healthz", healthz), Route("/readyz", readyz)


async def serve(settings: Settings, host: str, port: int) -> None:
    """Serves until a stop signal.

    Raises:
        InvalidInputError: there is no webhook secret.
        UnavailableError: the port cannot be had.
    """
    secrets_of(settings)
    with listening(host, port) as listener:

        async def run(stop_by: StopBy) -> None:
            async with (
                traced(settings, "aicd-webhooks"),
                store_once_there(settings, POOL) as store,
                metered(settings, store.system),
                open_route(settings, store.system) as route,
            ):
                routes = [route, *health_routes(store.database.refuse_unsafe_role)]
                server = Server(plain_config(WatchingMiddleware(Starlette(routes=routes)), SHUTDOWN_SECONDS))
                _log.info("taking deliveries at http://%s:%d%s", *listener.getsockname()[:2], PATH)
                stop_by(server.stop)
                await server.serve([listener])

        await until_told_to_stop(run)
