"""Waiting for Postgres while it is away."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aicd_core.errors import UnavailableError

RETRY_SECONDS = 0.5

ResultT = TypeVar("ResultT")


async def patiently(call: Callable[[], Awaitable[ResultT]], seconds: float) -> ResultT:
    """Repeats a call that may be repeated while Postgres is away, for so long.

    Raises:
        UnavailableError: Postgres did not come back in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await call()
        except UnavailableError as error:
            if error.code != "database_unavailable" or time.monotonic() >= deadline:
                raise
        await asyncio.sleep(RETRY_SECONDS)
