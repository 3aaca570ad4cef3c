"""One process's connections to Postgres, and the only place that commits.

A `Database` connects as the application's role, which row-level security holds; a `SystemDatabase` as the system role,
which sees all tenants through a few grants. Whose rows a transaction sees is set in one place, for that transaction
only, so that no pooled connection ever carries it over.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Self, TypeVar

import psycopg
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhaustedError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from aicd_core.contracts.tenant import Tenant
from aicd_core.db.calls import Call
from aicd_core.db.pipeline import PATIENCE, Pipeline
from aicd_core.db.repository import begin, listen, read_role
from aicd_core.db.sessions import (
    AccountsSession,
    Courier,
    ReadSession,
    Rows,
    SystemCourier,
    SystemReadSession,
    SystemSession,
    WriteSession,
)
from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_core.ids import OrgId

SessionT = TypeVar("SessionT", bound=AsyncSession)

KEEPALIVE = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}
"""Seconds, and unanswered probes, until a connection that only listens is found broken: it sends nothing by itself, and
the kernel's own probes begin after hours (https://www.postgresql.org/docs/18/libpq-connect.html)."""

STALE_MOST = 100
"""Closed connections in a row, more than a pool has; then the server closes even those that are new."""


class _Connections:
    """A pool of connections as one role."""

    sees_all = False

    def __init__(self, engine: AsyncEngine, pipeline: Pipeline) -> None:
        self.engine = engine
        self._pipeline = pipeline

    @classmethod
    def connect(cls, url: str, *, pool_size: int = 5, patience: float = PATIENCE) -> Self:
        """Connections for a `postgresql://…` URL; nothing is opened before the first transaction.

        Args:
            patience: seconds that a transaction, or a call, waits for a free connection.
        """
        parsed = _postgres_url(url)
        # AUTOCOMMIT leaves the beginning of a transaction to `begin`, which keys it to its tenant in the same message.
        engine = create_async_engine(
            parsed, pool_size=pool_size, max_overflow=0, pool_timeout=patience, isolation_level="AUTOCOMMIT"
        )
        return cls(engine, Pipeline(parsed, pool_size, patience))

    async def refuse_unsafe_role(self) -> None:
        """Makes sure that row-level security holds this role.

        Raises:
            InvalidInputError: it could bypass it, by itself or as a member of another role: as a superuser, by
                BYPASSRLS, as an owner of the tables, or (the application) as the system role.
        """
        async with (
            _translated(),
            self._begun(None, read_only=True, isolation="READ COMMITTED") as connection,
        ):
            role = await read_role(connection)
        faults = {
            "bypass row-level security": role.bypasses,
            "change the tables, which it owns": role.owns,
            "see every organization": role.sees_all and not self.sees_all,
            "not do the system's work, for it is no aicd_system": self.sees_all and not role.sees_all,
        }
        for why in (why for why, found in faults.items() if found):
            raise InvalidInputError(
                f"The database role {role.name} could {why}, so one organization's data would not be safe from "
                "another's. Run `aicd migrate` and connect as aicd_app (AICD_DATABASE_URL) and aicd_system "
                "(AICD_SYSTEM_DATABASE_URL).",
                code="unsafe_role",
            )

    async def close(self) -> None:
        """Closes every connection."""
        await self._pipeline.close()
        await self.engine.dispose()

    async def listen(self, channel: str, begun: Callable[[], None] = lambda: None) -> AsyncIterator[str]:
        """Payloads of the channel's notices, on a connection of its own; closed when the iterator is.

        Args:
            begun: called once every notice to come will be heard.

        Raises:
            UnavailableError: Postgres cannot be reached, or the connection broke.
        """
        given = self.engine.url
        url = given.set(drivername="postgresql", query={**KEEPALIVE, **given.query}).render_as_string(
            hide_password=False
        )
        async with _translated(), await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await listen(connection, channel)
            begun()
            async for notice in connection.notifies():
                yield notice.payload

    async def _call(self, org_id: OrgId | None, calls: Sequence[Call]) -> Rows:
        async with _translated():
            return await self._pipeline.run(org_id, calls)

    @asynccontextmanager
    async def _transaction(
        self, kind: type[SessionT], org_id: OrgId | None, *, read_only: bool, isolation: str = "READ COMMITTED"
    ) -> AsyncIterator[SessionT]:
        """A transaction that is committed at the end of the block, or rolled back on any error."""
        async with (
            _translated(),
            self._begun(org_id, read_only=read_only, isolation=isolation) as connection,
            kind(connection, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @asynccontextmanager
    async def _begun(self, org_id: OrgId | None, *, read_only: bool, isolation: str) -> AsyncIterator[AsyncConnection]:
        """A connection on which a transaction has begun.

        The message that begins it shows as well whether the server has closed the connection since, in a restart for
        instance: the pool needs no ping of its own, a round trip for each transaction.
        """
        for left in reversed(range(STALE_MOST)):
            async with self.engine.connect() as connection:
                try:
                    await begin(connection, org_id, read_only=read_only, isolation=isolation)
                except OperationalError as error:
                    if not error.connection_invalidated or not left:
                        raise
                    await connection.invalidate()
                else:
                    yield connection
                    return


class Database(_Connections):
    """Connections as the application's role."""

    def read(self, tenant: Tenant) -> AbstractAsyncContextManager[ReadSession]:
        """A read-only transaction that sees one tenant's rows.

        Raises:
            UnavailableError: Postgres cannot be reached or went away in the middle.
        """
        return self._transaction(ReadSession, tenant.org_id, read_only=True)

    def snapshot(self, tenant: Tenant) -> AbstractAsyncContextManager[ReadSession]:
        """As `read`; every query sees the same moment, however long the transaction takes."""
        return self._transaction(ReadSession, tenant.org_id, read_only=True, isolation="REPEATABLE READ")

    def write(self, tenant: Tenant) -> AbstractAsyncContextManager[WriteSession]:
        """A transaction that sees and changes one tenant's rows; raises as `read`."""
        return self._transaction(WriteSession, tenant.org_id, read_only=False)

    def courier(self, tenant: Tenant) -> Courier:
        """For single statements on one tenant's rows, each in one round trip."""
        return Courier(partial(self._call, tenant.org_id))

    def accounts(self) -> AbstractAsyncContextManager[AccountsSession]:
        """A transaction on users, identities and sessions, for no tenant; raises as `read`."""
        return self._transaction(AccountsSession, None, read_only=False)


class SystemDatabase(_Connections):
    """Connections as the system role: admission, sweeping, routing, and finding the tenant of a credential."""

    sees_all = True

    def read(self) -> AbstractAsyncContextManager[SystemReadSession]:
        """A read-only transaction over all tenants; raises as `Database.read`."""
        return self._transaction(SystemReadSession, None, read_only=True)

    def write(self) -> AbstractAsyncContextManager[SystemSession]:
        """A transaction over all tenants; raises as `Database.read`."""
        return self._transaction(SystemSession, None, read_only=False)

    def courier(self) -> SystemCourier:
        """For single statements over all tenants, each in one round trip."""
        return SystemCourier(partial(self._call, None))


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except PoolExhaustedError as error:
        raise UnavailableError(
            "Every connection to Postgres that this process has is in use. Try again in a moment; nothing is lost.",
            code="database_unavailable",
        ) from error
    except (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise UnavailableError(
            f"Postgres did not answer: {str(getattr(error, 'orig', error)).strip()}. Start it or check "
            "AICD_DATABASE_URL, then run the same command again; nothing is lost.",
            code="database_unavailable",
        ) from error


def _postgres_url(url: str) -> URL:
    try:
        given = make_url(url)
        if given.get_backend_name() in {"postgresql", "postgres"}:
            return given.set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        pass
    raise InvalidInputError(
        "That is not a database URL; it should look like postgresql://user@host:5432/aicd (the value is not shown, "
        "since it may hold a password). Mend AICD_DATABASE_URL or AICD_SYSTEM_DATABASE_URL."
    )
