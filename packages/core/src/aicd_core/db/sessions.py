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
        connection = await self.connection()  # as a courier has it: the ORM would have its own way with an INSERT
        for call in calls:
            rows = (await connection.execute(call.prepared.statement, dict(call.values))).all()
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


class Parcel(Courier):
    """Takes calls without running them, so that several functions' calls travel in one transaction.

    Only for functions that ask for no answer.
    """

    def __init__(self) -> None:
        self._calls: list[Call] = []
        super().__init__(self._put_aside)

    def by(self, courier: Courier) -> Courier:
        """Runs what was put aside, and then what this courier is given, in one transaction and round trip."""
        return Courier(lambda calls: courier.run((*self._calls, *calls)))

    async def _put_aside(self, calls: Sequence[Call]) -> Rows:
        self._calls.extend(calls)
        return ()


@dataclass(frozen=True)
class SystemCourier(Courier):
    """As `Courier`, over all tenants, as the system role."""
