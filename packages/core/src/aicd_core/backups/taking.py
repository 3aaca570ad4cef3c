"""Making a backup: the database as of one moment, the files beside it, stored, read back, and the old ones let go."""

import asyncio
import fcntl
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from aicd_core.backups.checking import check_snapshot
from aicd_core.backups.files import copy_aside, sha256_of
from aicd_core.backups.programs import postgres_call, run_postgres
from aicd_core.backups.repository import connected, no_installation, read_facts, require_all_seeing, snapshot
from aicd_core.backups.restic import Restic, Summary
from aicd_core.backups.stores import Stores, save_stores
from aicd_core.backups.values import DUMP, FILES, FORMAT, MANIFEST, STORES, Dump, Facts, Manifest, Retention, Tell
from aicd_core.errors import ConflictError
from aicd_core.queues.schema import QUEUE_SCHEMA

TURN = 3600.0
"""Seconds that a backup or a restore waits for the one before."""
TAG = "aicd-backup"
"""Of every backup in a repository; `installation=` and `schema=` stand beside it."""


@dataclass(frozen=True)
class Source:
    """What is backed up, and where the work on it is done.

    Args:
        url: the database as a role that sees every row.
        data_dir: has the files beside it; `backup/` in it is ours.
        also: files and folders that the operator wants kept besides.
        stores: those beside the database.
    """

    url: str
    data_dir: Path
    also: Sequence[Path] = ()
    stores: Stores = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.data_dir / "backup"


@dataclass(frozen=True)
class Taken:
    """A backup that was stored and read back. Sizes in bytes, `seconds` from the beginning to the last check."""

    id: str
    manifest: Manifest
    size: int
    added: int
    seconds: float


async def take_backup(source: Source, restic: Restic, kept: Retention, tell: Tell, *, deep: bool = False) -> Taken:
    """Makes a backup, and counts it as one only when it was read back from the repository as it should be.

    Args:
        deep: restores it in a database of its own, too.

    Raises:
        UnavailableError: Postgres, the repository or the disk refuses; `backup_damaged`: it cannot be read back.
        ConflictError: `backup_running`.
        InvalidInputError: `backup_role`, `no_installation`, `no_repository`, `wrong_backup_password`.
    """
    began = time.monotonic()
    async with working(source.folder, tell) as staging:
        await restic.unlock()
        tell("taking the database down as of now")
        manifest = await _stage(source, staging, tell)
        tell(f"storing {sum(manifest.tables.values())} rows of {len(manifest.tables)} tables")
        summary = await _store(restic, staging, manifest)
        (staging / DUMP).unlink()
        await asyncio.to_thread(shutil.rmtree, staging / STORES)
        tell("reading it back")
        await restic.check()
        await check_snapshot(restic, summary.id, staging, tell, deep=deep)
        if not manifest.gaps:  # else the last one that has everything could be among those let go
            await restic.forget((TAG, installation_tag(manifest.installation)), kept)
    return Taken(summary.id, manifest, summary.size, summary.added, time.monotonic() - began)


@asynccontextmanager
async def working(folder: Path, tell: Tell) -> AsyncIterator[Path]:
    """An empty folder for one backup or restore at a time, each in its turn; what an earlier one left there is gone.

    Raises:
        ConflictError: `backup_running`: the one before does not end (`TURN` seconds).
    """
    staging = folder / "staging"
    with _open_lock(folder) as lock:
        await _wait_for_turn(lock, folder, tell)
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700)
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _open_lock(folder: Path) -> BinaryIO:
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    return (folder / "lock").open("ab")


async def _wait_for_turn(lock: BinaryIO, folder: Path, tell: Tell) -> None:
    deadline, told = time.monotonic() + TURN, False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise ConflictError(
                    f"Another backup or restore is at work in {folder}, and does not end.", code="backup_running"
                ) from error
            if not told:
                tell("waiting for another backup or restore to end")
                told = True
            await asyncio.sleep(0.2)
        else:
            return


def installation_tag(installation: UUID) -> str:
    """How a backup says whose it is."""
    return f"installation={installation}"


async def _stage(source: Source, staging: Path, tell: Tell) -> Manifest:
    async with connected(source.url) as connection:
        await require_all_seeing(connection)
        async with snapshot(connection) as moment:
            facts = await read_facts(connection)
            await _dump(source.url, moment, staging / DUMP)
    if facts.installation is None:
        raise no_installation()
    # Later than the database: records of what was pushed are then never older than the jobs they are of.
    also = await asyncio.to_thread(copy_aside, source.data_dir, source.also, staging / FILES)
    (staging / STORES).mkdir()
    stores, gaps = await save_stores(source.stores, staging / STORES, tell)
    digest = await asyncio.to_thread(sha256_of, staging / DUMP)
    dump = Dump(sha256=digest, size=(staging / DUMP).stat().st_size)
    manifest = _manifest(facts, facts.installation, dump).model_copy(
        update={"also": also, "stores": stores, "gaps": gaps}
    )
    (staging / MANIFEST).write_text(manifest.model_dump_json(indent=2))
    return manifest


def _manifest(facts: Facts, installation: UUID, dump: Dump) -> Manifest:
    return Manifest(
        format=FORMAT,
        product=version("aicd-core"),
        installation=installation,
        revision=facts.revision,
        taken_at=facts.now,
        postgres=facts.postgres,
        tables=dict(facts.tables),
        dump=dump,
    )


async def _dump(url: str, moment: str, target: Path) -> None:
    """Not compressed: restic does that, after it has left out what it has already. Without the queue's wakes, which
    are of a moment that is gone, and without what `aicd migrate` lays anew: owners and grants."""
    options = (
        *("--format=custom", "--compress=none", "--no-owner", "--no-privileges", "--lock-wait-timeout=60s"),
        *(f"--exclude-schema={QUEUE_SCHEMA}", f"--snapshot={moment}", f"--file={target}"),
    )
    await run_postgres(postgres_call("pg_dump", url, *options), "The database could not be taken down")


async def _store(restic: Restic, staging: Path, manifest: Manifest) -> Summary:
    tags = [TAG, installation_tag(manifest.installation), f"schema={manifest.revision}"]
    tags += [f"store={name}" for name in manifest.stores] + [f"gap={name}" for name in manifest.gaps]
    return await restic.store(staging, (MANIFEST, DUMP, FILES, STORES), tags, manifest.taken_at)
