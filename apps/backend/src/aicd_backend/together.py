"""`aicd up`: the API server and a worker in one process, on one database."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from socket import socket

from aicd_backend.app import create_app
from aicd_backend.billing.figures import probes_of
from aicd_backend.bootstrap import make_first_key
from aicd_backend.ending import EndsStreamsWithin
from aicd_backend.production import refuse_unsafe
from aicd_backend.serving import beside, configure
from aicd_backend.settings import BackendSettings
from aicd_backend.stores import Stores
from aicd_cli.hosts import Hosts
from aicd_cli.http import listening, url_of
from aicd_cli.logs import begin_to_log
from aicd_cli.metering import metered
from aicd_cli.runtime import (
    LOCAL_ORGANIZATION,
    Store,
    load_workers,
    make_parts,
    observing,
    open_dispatch,
    require_disk_space,
)
from aicd_cli.serving import POOL_SPARE, StopBy, log_progress, once_there, store_once_there, until_told_to_stop
from aicd_cli.tracing import traced
from aicd_core.orchestrator import WorkerOptions
from aicd_core.orchestrator.lease import end

REQUESTS = 5
"""Connections to the database for the API server, beside those of the worker."""
log = logging.getLogger(__name__)


async def run(host: str, port: int, concurrency: int, drain_timeout: float, data_dir: Path | None) -> None:
    """Serves and works until a stop signal; if either ends by itself, so does the other.

    A database that is away is waited for, also by whoever asks meanwhile.

    Raises:
        UnavailableError: the port cannot be had, or something that a worker needs is missing.
    """
    settings = BackendSettings.load(data_dir=data_dir)
    begin_to_log(settings)
    refuse_unsafe(settings)
    with listening(host, port) as listener:
        options = WorkerOptions(drain_timeout)
        await until_told_to_stop(partial(_serve_and_work, settings, options, concurrency, listener))


async def _serve_and_work(
    settings: BackendSettings, options: WorkerOptions, concurrency: int, listener: socket, stop_by: StopBy
) -> None:
    hosts = Hosts(settings)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(traced(settings, "aicd-up"))
        pool_size = concurrency + POOL_SPARE + REQUESTS
        store = await stack.enter_async_context(store_once_there(settings, pool_size))
        await stack.enter_async_context(metered(settings, store.system, probes_of(settings)))
        require_disk_space(settings)
        await once_there(lambda: _show_first_key(settings, store))
        await hosts.sandbox.check()
        hosts.guard(store.database, store.tenant)
        dispatch = await stack.enter_async_context(open_dispatch(settings, store))
        stores = Stores.of(store.database, store.system, settings, hosts, dispatch)
        app = create_app(stores, ready=store.database.refuse_unsafe_role)
        server = EndsStreamsWithin(configure(app, settings), stores.feed)
        observe = await stack.enter_async_context(observing(settings, store, log_progress))
        parts = make_parts(settings, store, hosts, observe)
        await stack.enter_async_context(beside(app, stores))
        worker = await stack.enter_async_context(load_workers().open_worker(parts, options, concurrency))

        def stop() -> None:
            server.stop()
            worker.stop()

        log.info("listening on %s, and ready for %d job(s) at once", url_of(listener), concurrency)
        stop_by(stop)
        await _until_both_end(server.serve([listener]), worker.run(), stop)


async def _show_first_key(settings: BackendSettings, store: Store) -> None:
    """On the first start, says how to come in. In production nobody comes in that was not let in by name."""
    if settings.env == "production":
        return
    token = await make_first_key(store.database, store.tenant, datetime.now(UTC))
    if token is not None:
        sys.stderr.write(
            f"The first start: this API key may do everything in the organization {LOCAL_ORGANIZATION}, and is not "
            "shown again. `aicd admin bootstrap` makes a person its owner.\n"
        )
        sys.stdout.write(f"{token.reveal()}\n")
        sys.stdout.flush()


async def _until_both_end(serving: Awaitable[None], working: Awaitable[None], stop: Callable[[], None]) -> None:
    """Waits for both; whichever ends first stops the other one, and what it raises is raised."""
    tasks = [asyncio.ensure_future(serving), asyncio.ensure_future(working)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        stop()
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            await end(task)
