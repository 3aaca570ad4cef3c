"""What stands between a handler and BullMQ: whatever a handler does, the worker goes on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

log = logging.getLogger(__name__)


class HandlingError(Exception):
    """A handler failed; its entry comes again. The text is stored with the entry, so it quotes nothing."""


async def contained(handle: Callable[[], Awaitable[None]], what: str) -> None:
    """Runs a handler so that only two things come out: its end, or `HandlingError`.

    A CancelledError that came out of something the handler awaited would silently end BullMQ's loop. The text of
    another exception could hold what Postgres cannot store (NUL), and the entry would stay locked, or a secret.

    Args:
        what: the entry, as the log should name it.

    Raises:
        HandlingError: the handler raised or was cancelled from within.
        asyncio.CancelledError: the caller was cancelled, and the handler with it; it has ended.
    """
    task = asyncio.ensure_future(_run(handle))
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        await _end(task)
        raise
    if task.cancelled():
        log.warning("the handler of %s was cancelled by something that it awaited; it is called again", what)
        raise HandlingError("the handler was cancelled from within")
    error = task.exception()
    if error is not None:
        log.error("the handler of %s failed; it is called again", what, exc_info=error)
        raise HandlingError(f"the handler raised {type(error).__name__}")


async def _run(handle: Callable[[], Awaitable[None]]) -> None:
    await handle()


async def _end(task: "asyncio.Task[Any]") -> None:
    """Cancels the task and waits until it has ended, even if this is cancelled again meanwhile."""
    task.cancel()
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
    if not task.cancelled() and task.exception() is not None:
        log.error("a handler failed while it was being cancelled", exc_info=task.exception())
