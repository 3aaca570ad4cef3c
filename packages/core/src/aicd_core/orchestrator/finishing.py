"""What must not be left half done."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


async def to_the_end(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Awaits the work until it is done, however often the caller is cancelled meanwhile.

    A cancellation takes effect afterwards, and the caller then hears of nothing else.
    """
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        if not task.cancelled():
            task.exception()
        raise asyncio.CancelledError
    return task.result()
