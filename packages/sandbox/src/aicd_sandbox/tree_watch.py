"""The cap on a work tree: how much it holds, and the end of a command that makes it hold more.

Asking the file system for its free space costs nothing, so that is done ten times a second; only when what is gone
could have gone into this tree is the tree itself measured, by du(1), which follows no link and takes any depth.
"""

import asyncio
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aicd_sandbox.command import LimitError

TICK_SECONDS = 0.1
SLOW_SECONDS = 10.0
"""A tree is measured this often even if the file system looks unchanged: others free space meanwhile."""
PATIENCE = 10
"""A measurement may take one part in so many of the time."""
BLOCK = 512
"""Bytes of `st_blocks` (stat(2))."""


@dataclass(frozen=True)
class Usage:
    """What a tree holds: bytes on the disk, and files and folders. `certain` unless du could not look everywhere."""

    size: int
    files: int
    certain: bool = True


@dataclass
class TreeWatch:
    """Watches a tree through all commands of a sandbox.

    Args:
        places: the tree, and whatever else of the disk its commands can write to; on one file system.
        init: the host's number of the sandbox's first process, whose namespace the open files are looked up in.
    """

    places: tuple[Path, ...]
    size: int
    files: int
    init: int
    known: Usage = Usage(0, 0)

    async def watch(self) -> None:
        """Returns never.

        Raises:
            LimitError: the tree holds more than it may, and more than when the command began.
        """
        loop = asyncio.get_running_loop()
        allowed = Usage(max(self.size, self.known.size), max(self.files, self.known.files))
        free, measured, cost = free_space(self.places[0]), loop.time(), 0.0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            gone = _difference(free, free_space(self.places[0]))
            suspicious = _beyond(gone, _half_of_room(allowed, self.known))
            waited = loop.time() - measured
            if waited < PATIENCE * cost or not (suspicious or waited > SLOW_SECONDS):
                continue
            before = free_space(self.places[0])
            self.known = await self._measure()
            free, measured, cost = before, loop.time(), loop.time() - measured - waited
            if _beyond(self.known, allowed) or (not self.known.certain and _beyond(gone, allowed)):
                raise LimitError("disk limit")

    async def _measure(self) -> Usage:
        size, whole = await _du(self.places, "--block-size=1")
        files, _ = await _du(self.places, "--inodes")
        hidden = await asyncio.to_thread(deleted_but_open, self.init, self.places[0].stat().st_dev)
        return Usage(size + hidden, files, whole)


def free_space(place: Path) -> Usage:
    """What the file system has left."""
    status = os.statvfs(place)
    return Usage(status.f_bfree * status.f_frsize, status.f_ffree)


def deleted_but_open(init: int, device: int) -> int:
    """Bytes on a device in files that have no name any more and are held open in a process namespace."""
    sizes: dict[int, int] = {}
    with suppress(OSError):
        namespace = Path(f"/proc/{init}/ns/pid").readlink()
        for process in Path("/proc").iterdir():
            with suppress(OSError):
                if process.name.isdigit() and (process / "ns/pid").readlink() == namespace:
                    for descriptor in (process / "fd").iterdir():
                        status = descriptor.stat()
                        if status.st_dev == device and status.st_nlink == 0 and stat.S_ISREG(status.st_mode):
                            sizes[status.st_ino] = status.st_blocks * BLOCK
    return sum(sizes.values())


async def _du(places: tuple[Path, ...], unit: str) -> tuple[int, bool]:
    """The sum, and whether du could look everywhere."""
    process = await asyncio.create_subprocess_exec(
        *("du", "--summarize", "--total", "--one-file-system", unit, "--", *map(str, places)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = output.splitlines()
    return (int(lines[-1].split()[0]) if lines else 0), process.returncode == 0


def _difference(before: Usage, now: Usage) -> Usage:
    return Usage(before.size - now.size, before.files - now.files)


def _half_of_room(allowed: Usage, known: Usage) -> Usage:
    """Measuring again when half of the room may be gone keeps the error small and the measurements few."""
    return Usage((allowed.size - known.size) // 2, (allowed.files - known.files) // 2)


def _beyond(usage: Usage, bound: Usage) -> bool:
    return usage.size > bound.size or usage.files > bound.files
