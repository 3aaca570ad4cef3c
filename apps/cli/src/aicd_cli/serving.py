"""What processes that run until they are told to stop have in common."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TypeAlias

from aicd_cli.exit_codes import ExitCode
from aicd_cli.process import STOP_SIGNALS
from aicd_cli.runtime import Store, open_store
from aicd_core.errors import UnavailableError
from aicd_core.orchestrator import CommandEnded, Message, Progress, StateChanged
from aicd_core.settings import Settings
from aicd_core.text import one_line

POOL_SPARE = 8
"""Connections of a worker beside one for each job: heartbeats, admission, sweeps; and four deliveries."""

StopBy: TypeAlias = Callable[[Callable[[], None]], None]

RETRY_SECONDS = 1.0
"""Between two looks at whether Postgres is there."""


@asynccontextmanager
async def store_once_there(settings: Settings, pool_size: int) -> AsyncIterator[Store]:
    """The database; one that is away is waited for, as it is later on: a machine may start before its Postgres."""
    while True:
        async with AsyncExitStack() as stack:
            try:
                store = await stack.enter_async_context(open_store(settings, pool_size=pool_size))
            except UnavailableError as error:
                await _wait_out(error)
            else:
                yield store
                return


async def once_there(begin: Callable[[], Awaitable[None]]) -> None:
    """Does what a process does once at its start; a database that went away since it was opened is waited for."""
    while True:
        try:
            return await begin()
        except UnavailableError as error:
            await _wait_out(error)


async def _wait_out(error: UnavailableError) -> None:
    if error.code != "database_unavailable":
        raise error
    logging.getLogger(__name__).warning("waiting: %s", error)
    await asyncio.sleep(RETRY_SECONDS)


async def until_told_to_stop(run: Callable[[StopBy], Awaitable[None]]) -> None:
    """Runs `run` until the first stop signal; the second one ends the process at once.

    Args:
        run: is given a function to be called with what begins to stop it; until then a signal cancels it.
    """
    task, told = asyncio.current_task(), False
    assert task is not None
    ways: list[Callable[[], object]] = [task.cancel]

    def stop() -> None:
        nonlocal told
        told = True
        ways[-1]()

    with stopped_by_signals(stop):
        try:
            await run(ways.append)
        except asyncio.CancelledError:
            if not told:
                raise


@contextmanager
def stopped_by_signals(begin_to_stop: Callable[[], None]) -> Iterator[None]:
    """The first stop signal has the process come to its end; the second one ends it at once."""
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked:
            os._exit(ExitCode.CANCELLED)
        asked = True
        begin_to_stop()

    loop = asyncio.get_running_loop()
    for sign in STOP_SIGNALS:
        loop.add_signal_handler(sign, stop)
    try:
        yield
    finally:
        for sign in STOP_SIGNALS:
            loop.remove_signal_handler(sign)
            signal.signal(sign, signal.SIG_IGN)


def log_progress(progress: Progress) -> None:
    """One line of the log for each thing that happens to a job."""
    log, about = logging.getLogger("aicd.jobs"), {"job": str(progress.job_id)}
    match progress:
        case StateChanged():
            log.info(
                "job %s: %s (round %d)%s",
                *(progress.job_id, progress.state.value, progress.round),
                f": {one_line(progress.reason, 200)}" if progress.reason else "",
                extra=about,
            )
        case Message():
            log.info("job %s: %s", progress.job_id, one_line(progress.text, 300), extra=about)
        case CommandEnded():
            shown = one_line(progress.command, 200)
            log.info("job %s: $ %s: %s", progress.job_id, shown, progress.outcome, extra=about)
