"""Waiting for a server that reads its log before it lets anybody in."""

import asyncio
import time

from psycopg import pq

from aicd_core.backups.log.repository import is_recovering
from aicd_core.backups.repository import connected
from aicd_core.db.urls import libpq_url
from aicd_core.errors import UnavailableError

LOOK = 0.2
SILENCE = 30.0
"""Seconds that a server may take until it answers at all; how long it then reads is its own affair."""


async def wait_for_recovery(url: str) -> None:
    """Waits until a server has read its log and lets people in.

    Raises:
        UnavailableError: `database_unavailable`: nobody answers; or as `connected`.
    """
    plain = libpq_url(url).encode()
    heard = time.monotonic()
    while True:
        answer = await asyncio.to_thread(pq.PGconn.ping, plain)
        if answer == pq.Ping.OK:
            async with connected(url) as connection:
                if not await is_recovering(connection):
                    return
        if answer != pq.Ping.NO_RESPONSE:
            heard = time.monotonic()
        if time.monotonic() - heard > SILENCE:
            raise UnavailableError(
                "Postgres does not answer. Start it on the folder that was laid, or read its log: one that ended "
                "while it read says why there.",
                code="database_unavailable",
            )
        await asyncio.sleep(LOOK)
