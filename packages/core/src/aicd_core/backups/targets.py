"""Where a backup is restored: first beside the database that is there, then, whole, in its place."""

import asyncio
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from aicd_core.backups.log.recovery import prepare_recovery
from aicd_core.backups.log.repository import is_recovering
from aicd_core.backups.repository import (
    beside,
    connected,
    create_database,
    drop_database,
    has_content,
    has_database,
    name_of,
    read_installation,
    require_unused,
    swap_databases,
)
from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.errors import UnavailableError
from aicd_core.ids import new_uuid

NOT_REACHED = "recovery ended before configured recovery target was reached"
RECOVERY_LOOK = 0.2
"""Seconds between two looks at whether the server has read its log."""


@dataclass(frozen=True)
class Standing:
    """The database that is in the way; `filled`: work was done with it, or it cannot be told."""

    filled: bool
    installation: UUID | None


class Target(Protocol):
    """A database that a backup is to be restored as."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    async def look(self) -> Standing | None:
        """What is there now; None for nothing.

        Raises:
            ConflictError: `database_in_use`.
        """

    async def prepare(self) -> str:
        """An empty database beside it; its URL as a role that may do everything there."""

    async def adopt(self) -> str | None:
        """Puts the one beside it in its place; where the old one is now."""

    async def abandon(self) -> None:
        """Removes what `prepare` made, if it was not adopted."""


class EmbeddedTarget:
    """The embedded Postgres of a data directory. A `Target`."""

    def __init__(self, data_dir: Path) -> None:
        self._server = EmbeddedPostgres(data_dir / "postgres")
        self._beside = EmbeddedPostgres(data_dir / "backup" / "restoring")
        self._root = data_dir / "backup" / "restoring"

    @property
    def name(self) -> str:
        return "postgres"

    async def look(self) -> Standing | None:
        if not self._server.exists:
            return None
        await asyncio.to_thread(self._server.require_unused)
        try:
            url = await asyncio.to_thread(self._server.start)
            async with connected(url) as connection:
                return Standing(await has_content(connection), await read_installation(connection))
        except UnavailableError:
            return Standing(filled=True, installation=None)  # what does not start may still be of use to somebody
        finally:
            await asyncio.to_thread(self._server.stop)

    async def prepare(self) -> str:
        await asyncio.to_thread(shutil.rmtree, self._root, ignore_errors=True)
        return await asyncio.to_thread(self._beside.start)

    async def recover(self, base: Path, wal: Path, until: datetime | None) -> str:
        """A server beside it on a copy of a cluster, which has read its log up to a moment, or to its end; its URL.

        Args:
            base, wal: the folders with the copy and the log; both are moved from there.

        Raises:
            UnavailableError: `not_in_log`: the log does not reach to that moment; or Postgres refuses.
        """
        await asyncio.to_thread(shutil.rmtree, self._root, ignore_errors=True)
        await asyncio.to_thread(prepare_recovery, base, wal, until)
        await asyncio.to_thread(self._beside.adopt, base)
        try:
            url = await asyncio.to_thread(self._beside.start)
            while True:
                async with connected(url) as connection:
                    if not await is_recovering(connection):
                        return url
                await asyncio.sleep(RECOVERY_LOOK)
        except UnavailableError as error:
            if NOT_REACHED in (self._beside.cluster / "server.log").read_text(errors="replace"):
                raise UnavailableError(
                    "The log that was kept ends before that moment. Nothing was restored. Name an earlier one, or say "
                    "--at latest.",
                    code="not_in_log",
                ) from error
            raise

    async def adopt(self) -> str | None:
        await asyncio.to_thread(self._beside.stop)
        aside = await asyncio.to_thread(self._server.take_over, self._beside.cluster)
        return None if aside is None else str(aside)

    async def abandon(self) -> None:
        await asyncio.to_thread(self._beside.stop)
        await asyncio.to_thread(shutil.rmtree, self._root, ignore_errors=True)


class ServerTarget:
    """A database of a server of the operator's own. A `Target`.

    Args:
        url: the database as a role that may make databases and roles.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._name = name_of(url)
        self._new = f"aicd_restoring_{new_uuid().hex[-12:]}"
        # Whoever renames a database must be connected to another one.
        self._desk = beside(url, "template1" if self._name == "postgres" else "postgres")

    @property
    def name(self) -> str:
        return self._name

    async def look(self) -> Standing | None:
        async with connected(self._desk) as desk:
            if not await has_database(desk, self._name):
                return None
            await require_unused(desk, self._name)
        async with connected(self._url) as connection:
            return Standing(await has_content(connection), await read_installation(connection))

    async def prepare(self) -> str:
        async with connected(self._desk) as desk:
            await create_database(desk, self._new)
        return beside(self._url, self._new)

    async def adopt(self) -> str | None:
        aside = f"{self._name}_before_{datetime.now(UTC):%Y%m%dT%H%M%S}"
        async with connected(self._desk) as desk:
            there = await has_database(desk, self._name)
            await require_unused(desk, self._name)
            await swap_databases(desk, self._name, self._new, aside)
        return aside if there else None

    async def abandon(self) -> None:
        with suppress(UnavailableError):
            async with connected(self._desk) as desk:
                await drop_database(desk, self._new)
