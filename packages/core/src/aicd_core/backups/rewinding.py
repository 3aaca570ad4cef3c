"""Restoring a server to a moment: the last copy of its cluster before that, and its log from then on.

The embedded server is restored whole, by us. Of any other one its data folder is laid, for its own programs to start
on; `finish` does the rest once they have.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from aicd_core.backups.files import lay_back
from aicd_core.backups.log.folder import Folder
from aicd_core.backups.log.recovery import SETTINGS
from aicd_core.backups.log.repository import forget_recovery, require_superuser
from aicd_core.backups.log.waiting import wait_for_recovery
from aicd_core.backups.repository import beside, connected, free_jobs, name_of, read_brief, read_facts, require_unused
from aicd_core.backups.restic import Restic
from aicd_core.backups.restoring import Wanted, choose, list_backups, require_replaceable, stored
from aicd_core.backups.taking import working
from aicd_core.backups.targets import EmbeddedTarget, Standing
from aicd_core.backups.values import FILES, Facts, Stored, Tell
from aicd_core.backups.wal import BASE, BASE_TAG, WAL, WAL_TAG, check_cluster, reach
from aicd_core.errors import ConflictError, NotFoundError, UnavailableError
from aicd_core.migrations import HEAD, migrate


@dataclass(frozen=True)
class Chosen:
    """A copy of a cluster, and the log that goes on from it: its name in the repository, and up to when it reaches."""

    base: Stored
    log: str
    log_until: datetime


@dataclass(frozen=True)
class Finished:
    """A database after its server has read the log. `freed` and `files` are as in `Restored`."""

    installation: UUID
    facts: Facts
    freed: int
    files: Sequence[str]


@dataclass(frozen=True)
class Rewound:
    """What was restored; `aside` is as in `Restored`."""

    chosen: Chosen
    finished: Finished
    aside: str | None


@dataclass(frozen=True)
class Laid:
    """A data folder that a server can be started on; `postgres`: its major version."""

    chosen: Chosen
    postgres: str


async def restore_at(
    restic: Restic, target: EmbeddedTarget, data_dir: Path, until: datetime | None, wanted: Wanted, tell: Tell
) -> Rewound:
    """Restores the embedded database as it was at a moment, or as late as the log tells; raises as `restore`, and:

    Raises:
        UnavailableError: `not_in_log`: the log does not reach to that moment.
        NotFoundError: `no_such_backup`: no copy was made before it.
    """
    async with working(data_dir / "backup", tell) as staging:
        standing = await target.look()
        chosen = await _choose(restic, until, wanted, standing)
        require_replaceable(target.name, standing, wanted)
        await _fetch(restic, chosen, staging, tell)
        tell("reading the log")
        try:
            url = await target.recover(staging / BASE, staging / WAL, until)
            facts, freed = await _settled(url)
            aside = await target.adopt()
        finally:
            await target.abandon()
        installation = chosen.base.installation
        files = await _files(restic, installation, staging, data_dir)
    return Rewound(chosen, Finished(installation, facts, freed, files), aside)


async def lay_at(restic: Restic, into: Path, until: datetime | None, wanted: Wanted, tell: Tell) -> Laid:
    """Lays a data folder that a server of the same major version is started on, and then reads its log to a moment.

    Raises: as `restore_at`, and as `Folder.open`.
    """
    chosen = await _choose(restic, until, wanted, None)
    with Folder(into).open() as folder:
        await _fetch(restic, chosen, folder.staging, tell)
        postgres = (folder.staging / BASE / "PG_VERSION").read_text().strip()
        await asyncio.to_thread(folder.fill, folder.staging / BASE, folder.staging / WAL, until)
    return Laid(chosen, postgres)


async def finish(restic: Restic, url: str, data_dir: Path, tell: Tell) -> Finished:
    """Does what is left once a server runs on a folder of `lay_at`: waits until it has read its log, and goes on.

    Args:
        url: the database as a superuser.

    Raises:
        UnavailableError: `database_unavailable`: the server is not there, or ended while it read.
        ConflictError: `database_in_use`, `backup_running`.
        InvalidInputError: `no_superuser`.
    """
    async with working(data_dir / "backup", tell) as staging:
        tell("waiting until the server has read its log")
        await wait_for_recovery(url)
        name = name_of(url)
        async with connected(beside(url, "template1" if name == "postgres" else "postgres")) as desk:
            await require_unused(desk, name)
        facts, freed = await _settled(url)
        async with connected(url) as connection:
            installation, _ = await read_brief(connection)
        return Finished(installation, facts, freed, await _files(restic, installation, staging, data_dir))


async def _choose(restic: Restic, until: datetime | None, wanted: Wanted, standing: Standing | None) -> Chosen:
    bases = [stored(one) for one in await restic.snapshots(BASE_TAG)]
    base = choose([one for one in bases if until is None or one.taken_at <= until], wanted, standing)
    if base.revision > HEAD:
        raise ConflictError(
            f"The backup is at schema {base.revision}, and this version of aicd knows only up to {HEAD}. Use the "
            "version that made it.",
            code="backup_too_new",
        )
    log = [one for one in await restic.snapshots(WAL_TAG) if one.tag("base") == base.id]
    if not log:
        raise NotFoundError(f"The log of the copy {base.id} was never stored.", code="no_such_backup")
    reaches = reach(log[-1])
    if until is not None and until > reaches:
        raise UnavailableError(
            f"The log that was kept ends at {reaches.isoformat()}, before that moment. Nothing was restored. Name an "
            "earlier one, or say --at latest.",
            code="not_in_log",
        )
    return Chosen(base, log[-1].id, reaches)


async def _fetch(restic: Restic, chosen: Chosen, into: Path, tell: Tell) -> None:
    base, reaches = chosen.base, chosen.log_until
    tell(f"fetching the cluster as of {base.taken_at:%Y-%m-%d %H:%M:%S %Z}, and its log until {reaches:%H:%M:%S}")
    await restic.fetch(base.id, into, BASE)
    await asyncio.to_thread(check_cluster, into / BASE)
    await restic.fetch(chosen.log, into, WAL)


async def _settled(url: str) -> tuple[Facts, int]:
    async with connected(url) as connection:
        await require_superuser(connection)
        facts = await read_facts(connection)
        freed = await free_jobs(connection)
        await forget_recovery(connection, SETTINGS)
    await migrate(url, HEAD)
    return facts, freed


async def _files(restic: Restic, installation: UUID, staging: Path, data_dir: Path) -> list[str]:
    """Puts back what the newest backup has beside the database."""
    backups = [one for one in await list_backups(restic) if one.installation == installation]
    if not backups:
        return []
    await restic.fetch(backups[-1].id, staging, FILES)
    return lay_back(staging / FILES, data_dir, data_dir / "backup" / f"also-{backups[-1].id}")
