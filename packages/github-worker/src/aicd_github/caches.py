"""Downloaded dependencies of one repository, shared by its jobs: read-only, and replaced as a whole."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

from aicd_core.contracts.sandbox import CacheMount
from aicd_core.errors import UnavailableError
from aicd_github.faults import disk_errors
from aicd_github.filelock import locked
from aicd_github.threads import in_thread
from aicd_github.tree.cleaning import remove

_PATIENCE = 60.0
_CURRENT = "current"
_VERSION = "version-"
_PRIVATE = "private-"


class RepositoryCache:
    """The cache of one (organization, repository).

    `current` is a link to the version that jobs are shown. A version never changes: what a set-up phase made of its own
    copy becomes a new one, and an old one goes when nobody uses it any more (a user holds a shared `flock(2)` on it).

    Args:
        folder: of this repository in this organization alone.
        owner: (uid, gid) of the commands, where that is not our own user.
    """

    def __init__(self, folder: Path, owner: tuple[int, int] | None) -> None:
        self._folder = folder
        self._owner = owner

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[CacheMount | None]:
        """The current version, kept from removal within the block; None when there is none yet."""
        async with self._locked():
            version = self._current()
            use = None if version is None else _use(version)
        try:
            yield None if version is None else CacheMount(version, writable=False)
        finally:
            if use is not None:
                os.close(use)

    @asynccontextmanager
    async def private(self) -> AsyncIterator[CacheMount]:
        """A copy of the current version that may be changed; gone after the block.

        Raises:
            UnavailableError: the disk refused.
        """
        place = self._folder / f"{_PRIVATE}{uuid4()}"
        async with self._locked():
            with disk_errors(place):
                await in_thread(self._make, place)
                use = _use(place)
        try:
            async with self.shared() as current:
                if current is not None:
                    await _copy(current.folder, place)
            yield CacheMount(place, writable=True)
        finally:
            os.close(use)
            with disk_errors(place):
                await in_thread(remove, place)

    async def keep(self, private: CacheMount) -> None:
        """Makes a version of what the private copy holds now, and shows it to the sandboxes opened from now on.

        To be called while no command runs. Does nothing when the copy cannot be read.

        Raises:
            UnavailableError: the disk refused.
        """
        place = self._folder / f"{_VERSION}{uuid4()}"
        async with self._locked():
            with disk_errors(place):
                await in_thread(self._make, place)
            if not await _copy(private.folder, place):
                await in_thread(remove, place)
                return
            with disk_errors(place):
                link = self._folder / f"{_CURRENT}.new"
                link.unlink(missing_ok=True)
                link.symlink_to(place.name)
                link.replace(self._folder / _CURRENT)
                await in_thread(self._sweep)

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        with disk_errors(self._folder):
            self._folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        async with locked(self._folder / "lock", _PATIENCE):
            yield

    def _make(self, place: Path) -> None:
        place.mkdir(mode=0o700)
        if self._owner is not None:
            os.chown(place, *self._owner)

    def _current(self) -> Path | None:
        version = self._folder / _CURRENT
        return version.resolve() if version.exists() else None

    def _sweep(self) -> None:
        """Removes old versions, and what killed workers left, as far as nobody uses it."""
        current = self._current()
        for place in self._folder.iterdir():
            if place.name.startswith((_VERSION, _PRIVATE)) and place != current and _unused(place):
                remove(place)


def _use(place: Path) -> int:
    """A descriptor that tells others that the folder is used, until it is closed."""
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _unused(place: Path) -> bool:
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False
    finally:
        os.close(descriptor)


async def _copy(source: Path, target: Path) -> bool:
    """Copies what a folder holds, links as links; whether all of it could be read.

    Raises:
        UnavailableError: the disk is full.
    """
    words: Sequence[str] = ("cp", "--archive", "--reflink=auto", "--", f"{source}/.", str(target))
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, env={"PATH": os.defpath}
    )
    try:
        _, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if b"No space left" in complaint:
        raise UnavailableError(f"The disk of {target} is full. Free some space.", code="no_disk_space")
    return process.returncode == 0
