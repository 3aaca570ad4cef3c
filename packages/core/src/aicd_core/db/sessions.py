"""Transactions by what they may do: each kind is a type of its own, so that a function says what it needs."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from aicd_core.db.calls import Call

Rows = Sequence[Sequence[Any]]


class _CallingSession(AsyncSession):
    """A session that takes prepared statements as well."""

    async def call(self, *calls: Call) -> Rows:
        """Runs the calls in this transaction; the rows of the last one."""
        rows: Rows = ()
        for call in calls:
            rows = (await self.execute(call.prepared.statement, dict(call.values))).all()
        return rows


class ReadSession(_CallingSession):
    """One tenant's read-only transaction. Postgres refuses every write in it."""


class WriteSession(ReadSession):
    """One tenant's transaction."""


class AccountsSession(AsyncSession):
    """A transaction of no tenant: it reaches users, identities and sessions, and no row that has an org_id."""


class SystemReadSession(_CallingSession):
    """A read-only transaction over all tenants, as the system role, with only the grants that it has."""


class SystemSession(SystemReadSession):
    """A transaction over all tenants, as the system role."""


@dataclass(frozen=True)
class Courier:
    """Runs calls on one tenant's rows, each `call` a transaction of its own that takes one round trip."""

    run: Callable[[Sequence[Call]], Awaitable[Rows]]

    async def call(self, *calls: Call) -> Rows:
        """Runs the calls in one transaction; the rows of the last one.

        Raises:
            UnavailableError: Postgres cannot be reached, or the connection broke, and what was asked may have happened.
        """
        return await self.run(calls)


@dataclass(frozen=True)
class SystemCourier(Courier):
    """As `Courier`, over all tenants, as the system role."""
