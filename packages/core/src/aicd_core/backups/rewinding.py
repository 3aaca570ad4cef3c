"""Restoring the embedded database to a moment: the last copy of its cluster before that, and its log from then on."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from aicd_core.backups.files import lay_back
from aicd_core.backups.repository import connected, free_jobs, read_facts
from aicd_core.backups.restic import Restic
from aicd_core.backups.restoring import Wanted, choose, list_backups, require_replaceable, stored
from aicd_core.backups.taking import working
from aicd_core.backups.targets import EmbeddedTarget
from aicd_core.backups.values import FILES, Facts, Stored, Tell
from aicd_core.backups.wal import BASE, BASE_TAG, WAL, WAL_TAG, check_cluster
from aicd_core.errors import ConflictError, NotFoundError
from aicd_core.migrations import HEAD, migrate


@dataclass(frozen=True)
class Rewound:
    """What was restored; `log_until`: when the log was last shipped. The rest is as in `Restored`."""

    base: Stored
    log_until: datetime
    facts: Facts
    freed: int
    aside: str | None
    files: Sequence[str]


async def restore_at(
    restic: Restic, target: EmbeddedTarget, data_dir: Path, until: datetime | None, wanted: Wanted, tell: Tell
) -> Rewound:
    """Restores the database as it was at a moment, or as late as the log tells; raises as `restore`, and:

    Raises:
        UnavailableError: `not_in_log`: the log does not reach to that moment.
        NotFoundError: `no_such_backup`: no copy was made before it.
    """
    with working(data_dir / "backup") as staging:
        standing = await target.look()
        bases = [stored(one) for one in await restic.snapshots(BASE_TAG)]
        base = choose([one for one in bases if until is None or one.taken_at <= until], wanted, standing)
        require_replaceable(target.name, standing, wanted)
        if base.revision > HEAD:
            raise ConflictError(
                f"The backup is at schema {base.revision}, and this version of aicd knows only up to {HEAD}. Use the "
                "version that made it.",
                code="backup_too_new",
            )
        log = [one for one in await restic.snapshots(WAL_TAG) if one.tag("base") == base.id]
        if not log:
            raise NotFoundError(f"The log of the copy {base.id} was never stored.", code="no_such_backup")
        tell(f"fetching the cluster as of {base.taken_at:%Y-%m-%d %H:%M:%S %Z}, and its log until {log[-1].time:%X}")
        await restic.fetch(base.id, staging, BASE)
        await asyncio.to_thread(check_cluster, staging / BASE)
        await restic.fetch(log[-1].id, staging, WAL)
        tell("reading the log")
        try:
            facts, freed = await _recovered(await target.recover(staging / BASE, staging / WAL, until))
            await target.finish_recovery()
            aside = await target.adopt()
        finally:
            await target.abandon()
        files = await _files(restic, base, staging, data_dir)
    return Rewound(base, log[-1].time, facts, freed, aside, files)


async def _recovered(url: str) -> tuple[Facts, int]:
    async with connected(url) as connection:
        facts = await read_facts(connection)
        freed = await free_jobs(connection)
    await migrate(url, HEAD)
    return facts, freed


async def _files(restic: Restic, base: Stored, staging: Path, data_dir: Path) -> list[str]:
    """Puts back what the newest backup has beside the database."""
    backups = [one for one in await list_backups(restic) if one.installation == base.installation]
    if not backups:
        return []
    await restic.fetch(backups[-1].id, staging, FILES)
    return lay_back(staging / FILES, data_dir, data_dir / "backup" / f"also-{backups[-1].id}")
