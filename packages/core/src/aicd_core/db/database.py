"""One process's connection to Postgres, and the only place that commits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from aicd_core.errors import InvalidInputError, UnavailableError


class Database:
    """A pool of connections and the transaction boundary.

    Args:
        engine: an async engine on psycopg; `connect` makes one from a URL.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @classmethod
    def connect(cls, url: str, *, pool_size: int = 5) -> Self:
        """A database for a `postgresql://…` URL; nothing is opened before the first transaction."""
        parsed = _postgres_url(url)
        return cls(create_async_engine(parsed, pool_size=pool_size, max_overflow=0, pool_pre_ping=True))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session whose work is committed at the end of the block, or rolled back on any error.

        Raises:
            UnavailableError: Postgres cannot be reached or went away in the middle.
        """
        try:
            async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
                yield session
        except (OperationalError, InterfaceError) as error:
            raise UnavailableError(
                f"Postgres did not answer: {str(error.orig).strip()}. Start it or check AICD_DATABASE_URL, "
                "then run the same command again; nothing is lost.",
                code="database_unavailable",
            ) from error

    async def close(self) -> None:
        """Closes every connection."""
        await self.engine.dispose()


def _postgres_url(url: str) -> URL:
    try:
        given = make_url(url)
        if given.get_backend_name() in {"postgresql", "postgres"}:
            return given.set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        pass
    raise InvalidInputError(
        "AICD_DATABASE_URL is not a database URL; it should look like postgresql://user@host:5432/aicd (the value is "
        "not shown, since it may hold a password)."
    )
