"""Restoring to any moment: a copy of a server's cluster, and its log from then on, shipped every so often.

The log (WAL) is received as it is written (`pg_receivewal`), so what is shipped ends where the server was a moment ago.
The embedded server needs nothing for it; one of the operator's own needs a role and a line that let it be received.
"""

import asyncio
import json
import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from aicd_core.backups.files import sha256_of
from aicd_core.backups.log.access import require_receivable
from aicd_core.backups.log.repository import (
    has_received,
    is_slot_taken,
    make_slot,
    mark_log,
    read_position,
    read_segment_size,
)
from aicd_core.backups.programs import end, postgres_call, run_postgres
from aicd_core.backups.repository import connected, read_brief
from aicd_core.backups.restic import Restic, Snapshot
from aicd_core.backups.taking import Source, installation_tag, working
from aicd_core.backups.values import DAMAGED, Retention, Tell
from aicd_core.errors import ConflictError, UnavailableError
from aicd_core.telemetry.backups import Record

BASE_TAG, WAL_TAG = "aicd-base", "aicd-wal"
BASE, WAL = "base", "wal"
"""Folders in the repository: the cluster, and its log."""
KNOWN = "base-id"
"""A file beside the log: the name of the cluster in the repository that the log goes on from."""
UNTIL = "until"
"""A tag: the server's time when the log was shipped; it reaches to there."""
SLOT = "aicd_backup"
"""Has the server keep what was not received yet, within `max_slot_wal_keep_size`."""
PATIENCE = 30.0
CHECKSUMS = "--manifest-checksums=SHA256"
_FIRST = re.compile(r"^START WAL LOCATION: .* \(file ([0-9A-F]{24})\)$", re.MULTILINE)


def reach(shipped: Snapshot) -> datetime:
    """Up to when a log that was shipped reaches. One of a version before has no tag: its own time, to the second."""
    until = shipped.tag(UNTIL)
    return datetime.fromisoformat(until) if until else shipped.time


def check_cluster(cluster: Path) -> None:
    """Holds a copy of a cluster against the manifest that `pg_basebackup` wrote (the wheel's own checker crashes).

    Raises:
        UnavailableError: `backup_damaged`.
    """
    for one in json.loads((cluster / "backup_manifest").read_bytes())["Files"]:
        path = cluster / one["Path"]
        if not path.is_file() or path.stat().st_size != one["Size"] or sha256_of(path) != one["Checksum"]:
            raise UnavailableError(f"In the copy of the cluster, {one['Path']} is not as it was.", code=DAMAGED)


@dataclass
class LogKeeper:
    """Keeps the log of one server while it is `receiving`."""

    source: Source
    restic: Restic
    kept: Retention

    @property
    def _spool(self) -> Path:
        return self.source.folder / WAL

    @asynccontextmanager
    async def receiving(self, tell: Tell) -> AsyncIterator[None]:
        """Receives the log as long as the block lasts.

        Raises:
            UnavailableError: Postgres cannot be reached.
            InvalidInputError: it does not let this role have its log; as `require_receivable`, `Restic.snapshots`.
            ConflictError: `log_taken`: another process receives it.
        """
        async with connected(self.source.url) as connection:
            await require_receivable(connection, self.source.url, tell)
            await _wait_for_slot(connection)
            if await make_slot(connection, SLOT):
                shutil.rmtree(self._spool, ignore_errors=True)  # there is a gap: a copy has to come first
                (self.source.folder / KNOWN).unlink(missing_ok=True)
            size = await read_segment_size(connection)
        await self._forget_copy_of_elsewhere()
        self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_half_laid(self._spool, size)
        arguments = ("--directory", str(self._spool), "--slot", SLOT, "--synchronous", "--status-interval=1")
        call = postgres_call("pg_receivewal", self.source.url, "--no-password", *arguments)
        # One that outlived this process would keep the slot from the next.
        words = ("setpriv", "--pdeathsig", "KILL", *call.words)
        process = await asyncio.create_subprocess_exec(
            *words,
            env=dict(call.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stderr is not None, "it is a pipe"
        telling = asyncio.create_task(_tell_lines(process.stderr, tell))
        try:
            yield
        finally:
            await end(process)
            await telling

    @property
    def copied_at(self) -> float | None:
        """When the copy was stored that the log goes on from, in seconds since 1970; None without one."""
        known = self.source.folder / KNOWN
        return known.stat().st_mtime if known.exists() else None

    async def renew(self, tell: Tell) -> None:
        """Stores a copy of the cluster, from which the log goes on, and lets go of what lies further back.

        Raises:
            UnavailableError: Postgres, the repository or the disk refuses; `backup_damaged`: the copy is not whole.
            ConflictError: `backup_running`.
        """
        async with working(self.source.folder, tell) as staging:
            tell("copying the cluster")
            base, first = await self._copy(staging)
        if self.copied_at is not None:
            await self.ship()  # the log of the one before reaches to here
        (self.source.folder / KNOWN).write_text(base)
        for path in self._spool.iterdir():
            if path.name[:24] < first:
                path.unlink()
        await self.ship()
        await self._let_go()

    async def ship(self) -> None:
        """Stores the log as it is now, all of it since the copy; raises as `renew`."""
        async with connected(self.source.url) as connection:
            installation, _ = await read_brief(connection)
            until, position = await mark_log(connection), await read_position(connection)
            deadline = time.monotonic() + PATIENCE
            while not await has_received(connection, SLOT, position):
                if time.monotonic() > deadline:
                    raise UnavailableError(
                        "The log of Postgres is not received. Look at the lines of pg_receivewal before this, and at "
                        "Postgres' own log.",
                        code="wal_behind",
                    )
                await asyncio.sleep(0.1)
        base = (self.source.folder / KNOWN).read_text()
        tags = (WAL_TAG, installation_tag(installation), f"base={base}", f"{UNTIL}={until.isoformat()}")
        done = await self.restic.store(self.source.folder, (WAL,), tags, until)
        if (record := Record.read(self.source.data_dir)) is not None:
            replace(record, wal=until.timestamp()).write(self.source.data_dir)
        shipped = await self.restic.snapshots(WAL_TAG)
        await self.restic.drop([one.id for one in shipped if one.tag("base") == base and one.short_id != done.id])

    async def _forget_copy_of_elsewhere(self) -> None:
        """In another repository, or one made anew, the log has nothing to go on from: a copy has to come first."""
        known = self.source.folder / KNOWN
        if known.exists() and known.read_text() not in {one.short_id for one in await self.restic.snapshots(BASE_TAG)}:
            known.unlink()

    async def _copy(self, staging: Path) -> tuple[str, str]:
        """The copy's name in the repository, and the name of the first file of the log that it needs."""
        target = staging / BASE
        options = ("--pgdata", str(target), "--no-password", "--checkpoint=fast", "--no-sync", CHECKSUMS)
        await run_postgres(postgres_call("pg_basebackup", self.source.url, *options), "The cluster was not copied")
        await asyncio.to_thread(check_cluster, target)
        async with connected(self.source.url) as connection:
            installation, revision = await read_brief(connection)
        tags = (BASE_TAG, installation_tag(installation), f"schema={revision}")
        found = _FIRST.search((target / "backup_label").read_text())
        assert found is not None, "pg_basebackup writes it down"
        done = await self.restic.store(staging, (BASE,), tags, datetime.now(UTC))
        return done.id, found[1]

    async def _let_go(self) -> None:
        async with connected(self.source.url) as connection:
            installation, _ = await read_brief(connection)
        await self.restic.forget((BASE_TAG, installation_tag(installation)), Retention(self.kept.daily, 0, 0))
        bases = {one.short_id for one in await self.restic.snapshots(BASE_TAG)}
        shipped = await self.restic.snapshots(WAL_TAG)
        await self.restic.drop([one.id for one in shipped if one.tag("base") not in bases])


async def _tell_lines(stream: asyncio.StreamReader, tell: Tell) -> None:
    async for line in stream:
        tell(line.decode(errors="replace").rstrip())


def _remove_half_laid(spool: Path, size: int) -> None:
    """Removes what a receiver left that was killed, or found the disk full, while it laid its next file.

    Nothing was received into a file before it has its whole size, and `pg_receivewal` never goes on past one without.
    """
    for path in spool.glob("*.partial"):
        if path.stat().st_size != size:
            path.unlink()


async def _wait_for_slot(connection: psycopg.AsyncConnection) -> None:
    """One that was killed a moment ago holds it until the server has noticed."""
    deadline = time.monotonic() + PATIENCE
    while await is_slot_taken(connection, SLOT):
        if time.monotonic() > deadline:
            raise ConflictError(
                f"Another process receives this server's log on the slot {SLOT}. Of one server, one `aicd backup run` "
                "keeps the log: stop the other one, or leave --wal-every out here.",
                code="log_taken",
            )
        await asyncio.sleep(0.1)
