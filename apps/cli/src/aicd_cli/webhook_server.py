"""A process that takes GitHub's deliveries in, and does nothing else; see `commands.github` for why it stands alone."""

import logging

import uvicorn
from starlette.applications import Starlette

from aicd_cli.http import Server, listening
from aicd_cli.receiving import open_route, secrets_of
from aicd_cli.serving import stopped_by_signals, store_once_there
from aicd_core.settings import Settings
from aicd_github.webhooks.app import PATH

POOL = 10
"""Connections: so many deliveries are stored at once, and the others wait their turn."""
SHUTDOWN_SECONDS = 10
_log = logging.getLogger(__name__)


async def serve(settings: Settings, host: str, port: int) -> None:
    """Serves until a stop signal.

    Raises:
        InvalidInputError: there is no webhook secret.
        UnavailableError: the port cannot be had.
    """
    secrets_of(settings)
    with listening(host, port) as listener:
        async with store_once_there(settings, POOL) as store, open_route(settings, store) as route:
            config = uvicorn.Config(
                Starlette(routes=[route]),
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            )
            server = Server(config)

            def stop() -> None:
                server.should_exit = True

            _log.info("taking deliveries at http://%s:%d%s", *listener.getsockname()[:2], PATH)
            with stopped_by_signals(stop):
                await server.serve([listener])
