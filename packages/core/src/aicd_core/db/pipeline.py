"""Connections on which whole transactions travel in one message each."""

import asyncio
from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection, OperationalError
from psycopg_pool import AsyncConnectionPool
from sqlalchemy.engine import URL

from aicd_core.db.calls import Call
from aicd_core.db.repository import run_calls, settle
from aicd_core.db.urls import libpq_url
from aicd_core.ids import OrgId

PATIENCE = 10.0
"""Seconds that a call, or a transaction, waits for a free connection, or for Postgres to come back."""


class Pipeline:
    """A pool beside SQLAlchemy's, opened when it is first used."""

    def __init__(self, url: URL, size: int, patience: float = PATIENCE) -> None:
        self._pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
            libpq_url(url),
            min_size=0,
            max_size=size,
            open=False,
            configure=settle,
            timeout=patience,
            # By itself the pool pauses up to minutes between two tries, and leases run out after Postgres is back.
            reconnect_timeout=PATIENCE,
            kwargs={"autocommit": True},
        )
        self._opening = asyncio.Lock()

    async def run(self, org_id: OrgId | None, calls: Sequence[Call]) -> Sequence[tuple[Any, ...]]:
        """Runs the calls in one transaction keyed to a tenant, or to none; the rows of the last one.

        Raises:
            psycopg.Error: nothing of it happened; or, as an OperationalError, the connection broke and it may have.
        """
        if self._pool.closed:
            async with self._opening:
                if self._pool.closed:
                    await self._pool.open()
        try:
            async with self._pool.connection() as connection:
                return await run_calls(connection, org_id, calls)
        except OperationalError:
            await self._pool.check()  # after a restart of Postgres, every idle connection is dead
            raise

    async def close(self) -> None:
        """Closes every connection."""
        if not self._pool.closed:
            await self._pool.close()
