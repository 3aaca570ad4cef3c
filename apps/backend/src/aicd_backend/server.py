"""The API server's process: settings in, uvicorn around the application, a clean end on SIGTERM."""

import argparse
import logging
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI

from aicd_backend.app import create_app, open_billing
from aicd_backend.billing.exporter import exporting
from aicd_backend.billing.keeping import keeping
from aicd_backend.ending import EndsStreams
from aicd_backend.production import refuse_unsafe
from aicd_backend.settings import BackendSettings
from aicd_backend.stores import Stores
from aicd_cli.hosts import Hosts
from aicd_cli.metering import metered
from aicd_cli.receiving import open_route
from aicd_cli.runtime import LOCAL_ORGANIZATION
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_core.tenancy.organizations.repository import find_by_slug

NO_DATABASE = (
    "AICD_DATABASE_URL or AICD_SYSTEM_DATABASE_URL is not set, and the API server keeps everything in Postgres: "
    "set them to postgresql://ROLE:PASSWORD@HOST/DATABASE, with the roles aicd_app and aicd_system, and start again."
)
INTERRUPTED = 130
"""Exit code after Ctrl-C, as a shell reports it: 128 + SIGINT."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM (returns 0) or Ctrl-C (returns 130).

    Raises:
        SystemExit: 2 when options or settings are wrong, 1 when the port cannot be had.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        settings = BackendSettings.load()
        refuse_unsafe(settings)
    except InvalidInputError as error:
        parser.error(error.message)
    if not settings.database_url or not settings.system_database_url:
        parser.error(NO_DATABASE)
    try:
        database = Database.connect(settings.database_url)
        system = SystemDatabase.connect(settings.system_database_url)
    except InvalidInputError as error:
        parser.error(error.message)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # uvicorn raises the signal again once it has shut down; by default that would kill us by SIGTERM.
    signal.signal(signal.SIGTERM, _exit_cleanly)
    # A shell that starts us in the background has SIGINT ignored; whoever sends one all the same means it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    hosts = Hosts(settings)
    hosts.guard(database, None)
    stores = Stores.of(database, system, settings, hosts)
    server = EndsStreams(_configure(options, stores, hosts), stores.feed)
    try:
        server.run()
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _configure(options: argparse.Namespace, stores: Stores, hosts: Hosts) -> uvicorn.Config:
    async def ready() -> None:
        await stores.database.refuse_unsafe_role()
        await stores.system.refuse_unsafe_role()
        # A person's token is the own organization's, as for workers: known as soon as the database is there.
        async with stores.system.read() as session:
            hosts.guard(stores.database, await find_by_slug(session, LOCAL_ORGANIZATION))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # A database that is away is waited for, and /readyz says so; a role that no wall holds is never served with.
        with suppress(UnavailableError):
            await ready()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(metered(stores.settings, stores.system))
            if stores.settings.github_webhook_secret is not None:
                app.router.routes.append(await stack.enter_async_context(open_route(stores.settings, stores.system)))
            await stack.enter_async_context(exporting(stores.database, stores.system, stores.settings))
            open_billing(app, await stack.enter_async_context(keeping(stores)), stores)
            yield
        await stores.database.close()
        await stores.system.close()

    return uvicorn.Config(
        create_app(stores, ready=ready, lifespan=lifespan),
        host=options.host,
        port=options.port,
        lifespan="on",
        ws="none",
        log_config=None,
        server_header=False,
        proxy_headers=bool(stores.settings.trusted_proxies),
        forwarded_allow_ips=list(stores.settings.trusted_proxies),
        timeout_graceful_shutdown=stores.settings.shutdown_timeout,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aicd serve",
        description="The API server of AI-CD. Settings are read from AICD_* variables.",
        epilog="example: aicd serve --host 0.0.0.0 --port 9000",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", default=8080, type=_port, help="0 picks a free one (default: %(default)s)")
    return parser


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{number} is no port: use 0 to 65535")
    return number


def _exit_cleanly(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
