"""Restoring: refuse first, build the whole database beside the one that is there, and only then change places."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from aicd_core.backups.checking import check_staged, finish, load
from aicd_core.backups.files import lay_back
from aicd_core.backups.repository import connected, free_jobs
from aicd_core.backups.restic import Restic, Snapshot
from aicd_core.backups.taking import TAG, working
from aicd_core.backups.targets import Standing, Target
from aicd_core.backups.values import DUMP, FILES, MANIFEST, Manifest, Stored, Tell
from aicd_core.errors import ConflictError, InvalidInputError, NotFoundError
from aicd_core.migrations import HEAD, migrate

LATEST = "latest"


@dataclass(frozen=True)
class Wanted:
    """What a person asks for.

    Args:
        backup: the beginning of its name, or `latest`.
        replace: the name of the database that may be replaced although work was done with it.
        installation: whose backup it shall be; None: of the database that is there, or of the only one that there is.
    """

    backup: str = LATEST
    replace: str | None = None
    installation: UUID | None = None


@dataclass(frozen=True)
class Restored:
    """What was restored: `freed` jobs were taken away from workers that are no more; `aside`: where the database is
    that was there before; `files`: what was put back into the data directory."""

    backup: Stored
    manifest: Manifest
    freed: int
    aside: str | None
    files: Sequence[str]


async def list_backups(restic: Restic) -> list[Stored]:
    """Every backup in the repository, oldest first; raises as `Restic.snapshots`."""
    return [stored(one) for one in await restic.snapshots(TAG)]


async def restore(restic: Restic, target: Target, data_dir: Path, wanted: Wanted, tell: Tell) -> Restored:
    """Restores a backup. Whatever goes wrong, what is there stays as it is, up to the last step, which is a rename.

    Raises:
        NotFoundError: `no_such_backup`.
        ConflictError: `foreign_backup`, `database_not_empty`, `database_in_use`, `backup_too_new`, `backup_running`.
        UnavailableError: `backup_damaged`; or Postgres, the repository or the disk refuses.
        InvalidInputError: as `Restic.snapshots`.
    """
    async with working(data_dir / "backup", tell) as staging:
        standing = await target.look()
        backup = choose(await list_backups(restic), wanted, standing)
        require_replaceable(target.name, standing, wanted)
        tell(f"fetching the backup {backup.id} of {backup.taken_at:%Y-%m-%d %H:%M:%S %Z}")
        await restic.fetch(backup.id, staging, MANIFEST, DUMP, FILES)
        manifest = await check_staged(staging)
        tell(f"restoring {sum(manifest.tables.values())} rows of {len(manifest.tables)} tables")
        try:
            freed = await _rebuild(await target.prepare(), staging, manifest)
            aside = await target.adopt()
        finally:
            await target.abandon()
        files = lay_back(staging / FILES, data_dir, data_dir / "backup" / f"also-{backup.id}")
    return Restored(backup, manifest, freed, aside, files)


def choose(backups: Sequence[Stored], wanted: Wanted, standing: Standing | None) -> Stored:
    """The backup that is meant. Pure.

    Raises:
        NotFoundError: `no_such_backup`.
        ConflictError: `foreign_backup`; it is another installation's, or it cannot be told whose is wanted.
    """
    own = wanted.installation or (standing.installation if standing and standing.filled else None)
    if wanted.backup != LATEST:
        named = [one for one in backups if one.id.startswith(wanted.backup) and wanted.backup]
        if len(named) != 1:
            raise NotFoundError(f"There is no backup {wanted.backup!r}. See `aicd backup list`.", code="no_such_backup")
        if own is not None and named[0].installation != own:
            raise _foreign(f"The backup {named[0].id} is of the installation {named[0].installation}, not of {own}")
        return named[0]
    mine = [one for one in backups if own in (None, one.installation)]
    if not mine:
        raise NotFoundError(
            "There is no backup" + (f" of the installation {own}" if own else "") + ". See `aicd backup list`.",
            code="no_such_backup",
        )
    if len(known := {one.installation for one in mine}) > 1:
        raise _foreign(f"There are backups of several installations: {', '.join(sorted(map(str, known)))}")
    return mine[-1]


def _foreign(what: str) -> ConflictError:
    return ConflictError(
        f"{what}. Nothing was restored. Name the one that you mean with --installation.", code="foreign_backup"
    )


def require_replaceable(name: str, standing: Standing | None, wanted: Wanted) -> None:
    """Refuses to take away a database that was worked with, unless it is named. Pure.

    Raises:
        ConflictError: `database_not_empty`.
        InvalidInputError: `wrong_name`.
    """
    if wanted.replace is not None and wanted.replace != name:
        raise InvalidInputError(
            f"--replace names {wanted.replace!r}, and the database is {name!r}. Nothing was restored.",
            code="wrong_name",
        )
    if standing is not None and standing.filled and wanted.replace is None:
        raise ConflictError(
            f"The database {name} is not empty. Nothing was restored. To restore in its place, say --replace {name}: "
            "what is there is kept under another name.",
            code="database_not_empty",
        )


async def _rebuild(url: str, staging: Path, manifest: Manifest) -> int:
    """Lays a backup into an empty database and brings it to the schema of this code; how many jobs were freed."""
    await load(url, staging / DUMP, manifest)
    async with connected(url) as connection:
        freed = await free_jobs(connection)
    await finish(url, staging / DUMP)
    await migrate(url, HEAD)
    return freed


def stored(snapshot: Snapshot) -> Stored:
    """A backup as its tags tell it."""
    installation, schema = UUID(snapshot.tag("installation")), snapshot.tag("schema")
    stores, gaps = snapshot.all_of("store"), snapshot.all_of("gap")
    return Stored(snapshot.short_id, installation, snapshot.time, schema, stores, gaps)
