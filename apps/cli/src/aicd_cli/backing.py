"""The composition of what makes and restores backups: from settings to a repository, a database and a place to work."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from aicd_cli.metering import served
from aicd_cli.runtime import prepare_data_dir
from aicd_core.backups.restic import Restic
from aicd_core.backups.restoring import list_backups
from aicd_core.backups.stores import installed_stores
from aicd_core.backups.taking import Source, Taken, take_backup
from aicd_core.backups.targets import EmbeddedTarget, ServerTarget, Target
from aicd_core.backups.values import Retention, Tell
from aicd_core.backups.wal import LogKeeper
from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.errors import AicdError, InvalidInputError
from aicd_core.migrations import migrate
from aicd_core.monitoring.service import tell_of_backups
from aicd_core.settings import Settings
from aicd_core.telemetry.backups import Record

RETRY_SECONDS = 900.0
"""After a backup that failed, at the latest."""
_log = logging.getLogger(__name__)


def open_repository(settings: Settings) -> Restic:
    """The repository of the settings; nothing is looked at yet.

    Raises:
        InvalidInputError: `no_backup_repository`, `no_backup_password`.
    """
    if not settings.backup_repository:
        raise InvalidInputError(
            "AICD_BACKUP_REPOSITORY is not set: where are the backups? A path, or sftp:…, s3:…, as restic names it.",
            code="no_backup_repository",
        )
    if settings.backup_password is None or not settings.backup_password.get_secret_value():
        raise InvalidInputError(
            "AICD_BACKUP_PASSWORD is not set, and backups are encrypted with it. Put it into a file "
            "aicd_backup_password in AICD_SECRETS_DIR, and keep a copy where the machine is not.",
            code="no_backup_password",
        )
    cache = prepare_data_dir(settings) / "backup" / "cache"
    return Restic(settings.backup_repository, settings.backup_password.get_secret_value(), cache)


@asynccontextmanager
async def open_source(settings: Settings) -> AsyncIterator[Source]:
    """What is to be backed up; an embedded server runs meanwhile, and is migrated before.

    Raises:
        InvalidInputError: `backup_database_missing`.
        UnavailableError: the embedded server does not start.
    """
    place = prepare_data_dir(settings)
    url = settings.backup_database_url or settings.migration_database_url
    if url is not None:
        yield Source(url, place, settings.backup_also, installed_stores())
        return
    _require_embedded(settings, "AICD_BACKUP_DATABASE_URL", "that reads every row")
    if not EmbeddedPostgres(place / "postgres").exists:
        raise InvalidInputError(
            f"There is no database under {place} yet, so nothing to back up. Name its data directory with --data-dir.",
            code="no_database",
        )
    embedded = EmbeddedPostgres(place / "postgres")
    try:
        admin = await asyncio.to_thread(embedded.start)
        await migrate(admin)
        yield Source(admin, place, settings.backup_also, installed_stores())
    finally:
        await asyncio.to_thread(embedded.stop)


def open_target(settings: Settings) -> Target:
    """Where a backup is to be restored.

    Raises:
        InvalidInputError: `backup_database_missing`.
    """
    if settings.migration_database_url:
        return ServerTarget(settings.migration_database_url)
    _require_embedded(settings, "AICD_MIGRATION_DATABASE_URL", "that may make databases and roles")
    return EmbeddedTarget(prepare_data_dir(settings))


def _require_embedded(settings: Settings, variable: str, role: str) -> None:
    if settings.database_url:
        raise InvalidInputError(
            f"AICD_DATABASE_URL is set, and {variable} is not. Set it to the same database as a role {role}.",
            code="backup_database_missing",
        )
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]  # libpq would follow the person's own settings to another server


async def back_up(settings: Settings, source: Source, restic: Restic, tell: Tell, *, deep: bool) -> Taken:
    """Makes one backup, and writes it down for `/metrics`; raises as `take_backup`."""
    taken = await take_backup(source, restic, _retention(settings), tell, deep=deep)
    before, now = Record.read(source.data_dir), time.time()
    stores = {name: before.stores.get(name, 0.0) if before else 0.0 for name in taken.manifest.gaps}
    stores |= dict.fromkeys(taken.manifest.stores, now)
    Record(now, taken.seconds, taken.size, before.wal if before else None, stores).write(source.data_dir)
    return taken


def _retention(settings: Settings) -> Retention:
    return Retention(settings.backup_keep_daily, settings.backup_keep_weekly, settings.backup_keep_monthly)


@dataclass(frozen=True)
class Rhythm:
    """How often, in seconds: a backup, and the log of the server (None: never)."""

    every: float
    wal_every: float | None
    deep: bool


def note_log(data_dir: Path, *, kept: bool) -> None:
    """Has `/metrics` tell of a log that is kept, 0 as long as it was never shipped, and no more of one that is not.

    Before the first backup nothing is written; that comes before the log.
    """
    if (record := Record.read(data_dir)) is not None:
        replace(record, wal=(record.wal or 0.0) if kept else None).write(data_dir)


async def keep_backing_up(settings: Settings, restic: Restic, rhythm: Rhythm) -> None:
    """Makes a backup whenever the last one is old enough, until it is cancelled; tells `/metrics`.

    What fails is logged and tried again; it holds up nothing else. A log that cannot be had leaves the backups.
    """
    place = prepare_data_dir(settings)
    async with served(settings, partial(tell_of_backups, place)):
        while True:
            note_log(place, kept=rhythm.wal_every is not None)
            try:
                await _forget_what_is_not_there(place, restic)
                await (_with_log(settings, restic, rhythm) if rhythm.wal_every else _one(settings, restic, rhythm))
            except AicdError as error:
                pause = min(rhythm.wal_every or rhythm.every, RETRY_SECONDS)
                _log.error("backing up failed (%s): %s Trying again in %.0f s.", error.code, error, pause)
                await asyncio.sleep(pause)


async def _forget_what_is_not_there(data_dir: Path, restic: Restic) -> None:
    """In a repository without any backup, another one or one made anew, the next one is due now."""
    if Record.read(data_dir) is not None and not await list_backups(restic):
        Record.remove(data_dir)


async def _one(settings: Settings, restic: Restic, rhythm: Rhythm) -> None:
    """Waits until a backup is due, and makes it."""
    if due := due_in(Record.read(prepare_data_dir(settings)), rhythm.every, time.time()):
        _log.info("the next backup is due in %.0f s", due)
        await asyncio.sleep(due)
    async with open_source(settings) as source:
        await _log_backup(settings, source, restic, rhythm)


async def _with_log(settings: Settings, restic: Restic, rhythm: Rhythm) -> None:
    """Keeps the log as well, until something fails."""
    assert rhythm.wal_every is not None, "only where it is wanted"
    async with open_source(settings) as source:
        keeper = LogKeeper(source, restic, _retention(settings))
        await _if_due(settings, source, restic, rhythm)
        note_log(source.data_dir, kept=True)
        async with keeper.receiving(_log.warning):
            while True:
                await _if_due(settings, source, restic, rhythm)
                if keeper.copied_at is None or time.time() - keeper.copied_at >= rhythm.every:
                    await keeper.renew(_log.info)
                else:
                    await keeper.ship()
                _log.info("the log is kept until now")
                await asyncio.sleep(rhythm.wal_every)


async def _if_due(settings: Settings, source: Source, restic: Restic, rhythm: Rhythm) -> None:
    if due_in(Record.read(source.data_dir), rhythm.every, time.time()) == 0:
        await _log_backup(settings, source, restic, rhythm)


async def _log_backup(settings: Settings, source: Source, restic: Restic, rhythm: Rhythm) -> None:
    taken = await back_up(settings, source, restic, _log.info, deep=rhythm.deep)
    _log.info("backup %s: %d bytes, %d of them new, in %.1f s", taken.id, taken.size, taken.added, taken.seconds)
    for name, reason in taken.manifest.gaps.items():
        _log.warning("backup %s is without %s: %s", taken.id, name, reason)


def due_in(record: Record | None, every: float, now: float) -> float:
    """Seconds until the next backup; 0 when it is due."""
    return 0.0 if record is None else max(0.0, record.last_success + every - now)
