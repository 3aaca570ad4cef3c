"""Stores beside the database: what they are asked for a backup, and how one is put back.

A plug-in names a function in the entry-point group `aicd.stores`, under the store's name. It takes nothing, and returns
a `Store`, or None where none is configured.
"""

import asyncio
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol, TypeAlias, cast

from aicd_core.backups.files import sha256_of
from aicd_core.backups.restic import Restic
from aicd_core.backups.values import DAMAGED, STORES, Dump, Kept, Manifest, Tell
from aicd_core.errors import AicdError, ConflictError, NotFoundError, UnavailableError
from aicd_core.settings import Settings

GROUP = "aicd.stores"


class Store(Protocol):
    """One store, on its server. Its methods raise `UnavailableError` where that refuses."""

    @property
    def comes_by_itself(self) -> bool:
        """Whether all that is lost of it is made again soon: it is then put back only for whoever asks."""

    async def save(self, into: Path) -> Mapping[str, int]:
        """Writes all that is AI-CD's into an empty folder; what that is, counted, by what it is called."""

    async def is_used(self) -> bool:
        """Whether anything of AI-CD's is there."""

    async def clear(self) -> None:
        """Removes all that is AI-CD's."""

    async def lay(self, source: Path) -> None:
        """Puts back what `save` wrote; nothing is there."""


Open: TypeAlias = Callable[[], Store | None]
"""Opens a store; None where none is configured. Nothing is connected yet."""
Stores: TypeAlias = Mapping[str, Open]
"""By name."""


@dataclass(frozen=True)
class Fate:
    """What became of a store that a backup has, or should have; `left_out`: why it was not put back."""

    name: str
    counted: Mapping[str, int]
    left_out: str | None = None


def installed_stores() -> dict[str, Open]:
    """What plug-ins offer."""
    return {entry.name: partial(_open, entry) for entry in entry_points(group=GROUP)}


def open_redis() -> Store | None:
    """The Redis of the settings, if the queue is in one; an entry point. BullMQ is loaded only where it is needed."""
    url = Settings.load().redis_url
    return cast("Store", import_module("aicd_core.backups.redis_store").RedisStore(url)) if url else None


def _open(entry: EntryPoint) -> Store | None:
    return cast("Store | None", entry.load()())


async def save_stores(stores: Stores, into: Path, tell: Tell) -> tuple[dict[str, Kept], dict[str, str]]:
    """Writes every store into a folder of its own; what is kept, and the gaps: whatever goes wrong with one, the
    database's backup is made all the same."""
    kept: dict[str, Kept] = {}
    gaps: dict[str, str] = {}
    for name, opening in stores.items():
        folder = into / name
        try:
            if (store := opening()) is None:
                continue
            tell(f"taking {name} down")
            await asyncio.to_thread(folder.mkdir)
            counted = await store.save(folder)
            kept[name] = Kept(counted=counted, files=await asyncio.to_thread(_digests, folder))
        except Exception as error:  # noqa: BLE001 - plug-ins fail in any way
            gaps[name] = _told(error)
            tell(f"WARNING: {name} is not in this backup: {gaps[name]}")
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return kept, gaps


async def fetch_store(restic: Restic, snapshot: str, name: str, kept: Kept, staging: Path) -> Path:
    """Fetches what a backup has of a store, and holds it against the manifest; the folder that it is in.

    Raises:
        UnavailableError: `backup_damaged`; or as `Restic.fetch`.
    """
    folder = staging / STORES / name
    await restic.fetch(snapshot, staging, f"{STORES}/{name}")
    check_store(name, kept, await asyncio.to_thread(_digests, folder))
    return folder


def check_store(name: str, kept: Kept, found: Mapping[str, Dump]) -> None:
    """Holds a store's files against the manifest. Pure.

    Raises:
        UnavailableError: `backup_damaged`.
    """
    wrong = sorted({path for path, _ in kept.files.items() ^ found.items()})
    if wrong:
        raise UnavailableError(
            f"Of {name}, {', '.join(wrong)} in the backup is not what its manifest says it is. Nothing of it was put "
            "back.",
            code=DAMAGED,
        )


@dataclass(frozen=True)
class PuttingBack:
    """The stores of one backup, on their way back.

    Args:
        snapshot: the backup's name.
        staging: a folder for what is fetched.
    """

    restic: Restic
    snapshot: str
    manifest: Manifest
    staging: Path
    tell: Tell

    async def all(self, stores: Stores) -> list[Fate]:
        """Puts back every store where nothing is in the way, and that does not come by itself; what became of each.

        Nothing that goes wrong is raised: the database is back by then.
        """
        fates = [Fate(name, {}, f"the backup has none: {reason}") for name, reason in self.manifest.gaps.items()]
        for name, kept in self.manifest.stores.items():
            try:
                store = open_store(stores, name)
                if store.comes_by_itself:
                    left_out = f"it comes by itself; `aicd restore {self.snapshot} --only {name}` puts it back"
                    fates.append(Fate(name, kept.counted, left_out))
                    continue
                await self.one(name, store)
                fates.append(Fate(name, kept.counted))
            except Exception as error:  # noqa: BLE001 - as in save_stores
                fates.append(Fate(name, kept.counted, _told(error)))
        return fates

    async def one(self, name: str, store: Store, *, replace: bool = False) -> Kept:
        """Puts back one store; all is fetched and held against the manifest before anything is touched.

        Args:
            replace: removes what is there.

        Raises:
            ConflictError: `store_not_empty`.
            NotFoundError: `not_in_backup`.
            UnavailableError: `backup_damaged`; or the store refuses.
        """
        kept = kept_of(self.manifest, name)
        if not replace and await store.is_used():
            raise ConflictError(
                f"{name} is not empty. Nothing was put back into it. Stop the processes that use it, then say "
                f"`aicd restore {self.snapshot} --only {name} --replace {name}`, which removes what is there.",
                code="store_not_empty",
            )
        self.tell(f"putting {name} back")
        folder = await fetch_store(self.restic, self.snapshot, name, kept, self.staging)
        try:
            await _lay(store, folder, replace=replace)
        finally:
            await asyncio.to_thread(shutil.rmtree, self.staging / STORES)
        return kept


async def _lay(store: Store, folder: Path, *, replace: bool) -> None:
    if replace:
        await store.clear()
    try:
        await store.lay(folder)
    except BaseException:
        with suppress(AicdError):
            await store.clear()  # half of it would be in the way of the next try
        raise


def kept_of(manifest: Manifest, name: str) -> Kept:
    """What a backup has of a store.

    Raises:
        NotFoundError: `not_in_backup`.
    """
    if name not in manifest.stores:
        why = f": {manifest.gaps[name]}" if name in manifest.gaps else "."
        raise NotFoundError(
            f"The backup has no {name}{why} It has: {', '.join(manifest.stores) or 'nothing but the database'}. "
            "See `aicd backup list`.",
            code="not_in_backup",
        )
    return manifest.stores[name]


def open_store(stores: Stores, name: str) -> Store:
    """The store of that name.

    Raises:
        NotFoundError: `no_such_store`: none is configured.
    """
    store = stores[name]() if name in stores else None
    if store is None:
        raise NotFoundError(
            f"No {name} is configured for this process, so nothing can be put back into it. Set its URL as the workers "
            "have it.",
            code="no_such_store",
        )
    return store


def _digests(folder: Path) -> dict[str, Dump]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): Dump(sha256=sha256_of(path), size=path.stat().st_size) for path in sorted(files)
    }


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, AicdError) else f"{type(error).__name__}: {error}"
