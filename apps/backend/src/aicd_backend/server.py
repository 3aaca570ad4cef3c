"""The API server's process: settings in, uvicorn around the application, a clean end on SIGTERM."""

import argparse
import logging
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import FrameType

import uvicorn

from aicd_backend.app import Api, create_app
from aicd_backend.billing.figures import probes_of
from aicd_backend.ending import EndsStreamsAndCloses
from aicd_backend.production import refuse_unsafe
from aicd_backend.serving import beside, configure
from aicd_backend.settings import BackendSettings
from aicd_backend.stores import Stores
from aicd_cli.hosts import Hosts
from aicd_cli.http import listening, url_of
from aicd_cli.logs import begin_to_log
from aicd_cli.metering import metered
from aicd_cli.readiness import ReadyCheck
from aicd_cli.runtime import LOCAL_ORGANIZATION
from aicd_cli.tracing import traced
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.errors import AicdError, InvalidInputError, UnavailableError
from aicd_core.tenancy.organizations.repository import find_by_slug

NO_DATABASE = (
    "AICD_DATABASE_URL or AICD_SYSTEM_DATABASE_URL is not set, and the API server keeps everything in Postgres: "
    "set them to postgresql://ROLE:PASSWORD@HOST/DATABASE, with the roles aicd_app and aicd_system that `aicd migrate` "
    "makes (docs/tenancy.md), and start again. `aicd up` brings a Postgres along."
)
log = logging.getLogger(__name__)
INTERRUPTED = 130
"""Exit code after Ctrl-C, as a shell reports it: 128 + SIGINT."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM (returns 0) or Ctrl-C (returns 130).

    Raises:
        SystemExit: 2 when options or settings are wrong, 1 when it cannot serve, such as where a port is taken.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        settings = BackendSettings.load()
        refuse_unsafe(settings)
        begin_to_log(settings)
    except InvalidInputError as error:
        parser.error(error.message)
    if not settings.database_url or not settings.system_database_url:
        parser.error(NO_DATABASE)
    try:
        database = Database.connect(settings.database_url)
        system = SystemDatabase.connect(settings.system_database_url)
    except InvalidInputError as error:
        parser.error(error.message)
    # uvicorn raises the signal again once it has shut down; by default that would kill us by SIGTERM.
    signal.signal(signal.SIGTERM, _exit_cleanly)
    # A shell that starts us in the background has SIGINT ignored; whoever sends one all the same means it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    hosts = Hosts(settings)
    hosts.guard(database, None)
    stores = Stores.of(database, system, settings, hosts)
    try:
        with listening(options.host, options.port) as listener:
            _server(stores, hosts, listener).run([listener])
    except KeyboardInterrupt:
        return INTERRUPTED
    except AicdError as error:
        parser.exit(1, f"{parser.prog}: {error.message}\n")
    return 0


def _server(stores: Stores, hosts: Hosts, listener: socket.socket) -> uvicorn.Server:
    async def ready() -> None:
        await stores.database.refuse_unsafe_role()
        await stores.system.refuse_unsafe_role()
        # A person's token is the own organization's, as for workers: known as soon as the database is there.
        async with stores.system.read() as session:
            hosts.guard(stores.database, await find_by_slug(session, LOCAL_ORGANIZATION))

    app = create_app(stores, ready=ready)
    return EndsStreamsAndCloses(configure(app, stores.settings), stores.feed, _opened(app, stores, ready, listener))


@asynccontextmanager
async def _opened(app: Api, stores: Stores, ready: ReadyCheck, listener: socket.socket) -> AsyncIterator[None]:
    """All that the process holds for as long as it serves.

    Raises:
        InvalidInputError: a role that no wall holds, which is never served with, or `weak_webhook_secret`.
        UnavailableError: the port for the figures cannot be had.
    """
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(traced(stores.settings, "aicd-api"))
        stack.push_async_callback(stores.system.close)
        stack.push_async_callback(stores.database.close)
        with suppress(UnavailableError):  # a database that is away is waited for, and /readyz says so
            await ready()
        await stack.enter_async_context(metered(stores.settings, stores.system, probes_of(stores.settings)))
        await stack.enter_async_context(beside(app, stores))
        log.info("listening on %s", url_of(listener))
        yield


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
