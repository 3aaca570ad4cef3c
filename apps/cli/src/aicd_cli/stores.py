"""Putting back what a backup has beside the database: after a restore, or one store alone."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from aicd_cli.backing import open_source
from aicd_core.backups.checking import read_manifest
from aicd_core.backups.repository import connected, read_brief
from aicd_core.backups.restic import Restic
from aicd_core.backups.restoring import Wanted, choose, list_backups
from aicd_core.backups.stores import Fate, PuttingBack, installed_stores, open_store
from aicd_core.backups.taking import working
from aicd_core.backups.targets import Standing
from aicd_core.backups.values import Kept, Stored, Tell
from aicd_core.errors import AicdError, InvalidInputError
from aicd_core.settings import Settings


async def put_back_stores(restic: Restic, place: Path, wanted: Wanted, tell: Tell) -> list[Fate]:
    """Puts the stores back after a restore, as `PuttingBack.all`; raises nothing that is ours.

    Args:
        place: the data directory.
        wanted: names the backup; of `latest`, the installation as well.
    """
    try:
        backup = choose(await list_backups(restic), wanted, None)
        async with working(place / "backup", tell) as staging:
            manifest = await read_manifest(restic, backup.id, staging)
            return await PuttingBack(restic, backup.id, manifest, staging, tell).all(installed_stores())
    except AicdError as error:
        return [Fate("stores", {}, str(error))]


async def put_back_store(
    settings: Settings, restic: Restic, name: str, wanted: Wanted, tell: Tell
) -> tuple[Stored, Kept]:
    """Puts back one store of a backup of the installation whose database is there, and touches nothing else.

    Raises:
        InvalidInputError: `wrong_name`: --replace names something else; or as `open_source`.
        ConflictError: `foreign_backup`, `store_not_empty`, `backup_running`.
        NotFoundError: `no_such_backup`, `not_in_backup`, `no_such_store`.
        UnavailableError: `backup_damaged`; or Postgres, the repository or the store refuses.
    """
    if wanted.replace not in (None, name):
        raise InvalidInputError(
            f"--replace names {wanted.replace!r}, and --only {name!r}. Nothing was put back.", code="wrong_name"
        )
    store = open_store(installed_stores(), name)
    async with open_source(settings) as source, working(source.folder, tell) as staging:
        backup = choose(await list_backups(restic), wanted, Standing(filled=True, installation=await _own(source.url)))
        manifest = await read_manifest(restic, backup.id, staging)
        back = PuttingBack(restic, backup.id, manifest, staging, tell)
        return backup, await back.one(name, store, replace=wanted.replace is not None)


async def _own(url: str) -> UUID:
    async with connected(url) as connection:
        return (await read_brief(connection))[0]


def counted(counts: Mapping[str, int]) -> str:
    """What is in a store, as people read it."""
    return ", ".join(f"{number} {what}" for what, number in counts.items()) or "nothing"


def fates_told(fates: Sequence[Fate]) -> dict[str, Any]:
    """What became of stores, as JSON has it."""
    return {
        "put_back": {one.name: dict(one.counted) for one in fates if one.left_out is None},
        "left_out": {one.name: one.left_out for one in fates if one.left_out is not None},
    }


def fates_shown(fates: Sequence[Fate]) -> Iterator[str]:
    """The same for people."""
    for one in fates:
        if one.left_out is None:
            yield f"Put back into {one.name}: {counted(one.counted)}."
        else:
            yield f"Not put back: {one.name} ({one.left_out})."
