"""What is in a hostile tree, without reading or following any of it."""

import os
import stat
import time
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from aicd_core.errors import StepFailedError
from aicd_github.tree.names import from_disk, to_disk
from aicd_github.tree.paths import is_git_folder

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_DEPTH = 256
_MAX_ENTRIES = 1_000_000
# The clock by which the kernel stamps files: https://man7.org/linux/man-pages/man2/clock_gettime.2.html
_FILE_CLOCK = 5  # CLOCK_REALTIME_COARSE, which Python does not name


class Oddity(StrEnum):
    """Why something in a tree cannot be stored by git."""

    SPECIAL = "is neither a file, a link nor a folder"
    LOCKED = "cannot be opened"
    TOO_DEEP = f"is more than {_MAX_DEPTH} folders deep"
    GIT_NAME = "is a name that some file system takes for git's own folder"
    NESTED = "is a repository of its own"


class Stamp(NamedTuple):
    """What changes when a file does. Its owner can set the times back, but for the ctime."""

    inode: int
    mode: int
    size: int
    mtime: int
    ctime: int

    @staticmethod
    def of(found: os.stat_result) -> "Stamp":
        return Stamp(found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def git_mode(self) -> str:
        """The mode that git stores: of a link, a program or any other file."""
        if stat.S_ISLNK(self.mode):
            return "120000"
        return "100755" if self.mode & stat.S_IXUSR else "100644"

    def settled(self) -> bool:
        """Whether a change made from now on would give another stamp: the clock has ticked since the last one."""
        return self.ctime < time.clock_gettime_ns(_FILE_CLOCK)


class Found(NamedTuple):
    """One thing in the tree. Of a folder, only what is odd about it is told; an odd one is not entered."""

    path: str
    stamp: Stamp
    oddity: Oddity | None = None


def wait_for_tick() -> None:
    """Returns when files that change from now on get a ctime that no file has yet: some milliseconds."""
    start = time.clock_gettime_ns(_FILE_CLOCK)
    while time.clock_gettime_ns(_FILE_CLOCK) <= start:
        time.sleep(0.001)


def survey(root: Path, closed: Collection[str] = ()) -> list[Found]:
    """Everything in the tree but folders, and folders that are odd; foreign bytes in names as surrogates.

    Args:
        closed: folders that are not looked at. `.git` at the root is not, either.

    Raises:
        StepFailedError: code `tree_too_large`.
        OSError: the root cannot be read.
    """
    surveyor = _Surveyor(frozenset(closed))
    surveyor.walk(os.open(root, _FOLDER))
    return surveyor.found


class _Surveyor:
    def __init__(self, closed: frozenset[str]) -> None:
        self.found: list[Found] = []
        self._closed = closed

    def walk(self, root: int) -> None:
        """Depth first with an explicit stack: a hostile depth must not exhaust Python's. Closes what it is given."""
        stack = [self._enter(root, "")]
        try:
            while stack:
                folder, below, inner = stack[-1]
                if not inner:
                    os.close(stack.pop()[0])
                    continue
                name, stamp = inner.pop()
                path = f"{below}{name}"
                if len(stack) > _MAX_DEPTH:
                    self._note(Found(path, stamp, Oddity.TOO_DEEP))
                    continue
                try:
                    stack.append(self._enter(os.open(to_disk(name), _FOLDER, dir_fd=folder), f"{path}/"))
                except FileNotFoundError:
                    continue
                except OSError:
                    self._note(Found(path, stamp, Oddity.LOCKED))
        finally:
            for folder, _, _ in stack:
                os.close(folder)

    def _enter(self, folder: int, below: str) -> tuple[int, str, list[tuple[str, Stamp]]]:
        """The open folder, its path, and what is to be entered of it; closes it when it cannot be looked at."""
        try:
            return folder, below, self._look(folder, below)
        except BaseException:
            os.close(folder)
            raise

    def _look(self, folder: int, below: str) -> list[tuple[str, Stamp]]:
        """Notes what is in one folder; returns the folders in it that are to be entered."""
        inner: list[tuple[str, Stamp]] = []
        with os.scandir(folder) as listing:
            entries = [(from_disk(entry.name), entry) for entry in listing]
        if below and any(name == ".git" for name, _ in entries):
            self._note(Found(below[:-1], Stamp.of(os.fstat(folder)), Oddity.NESTED))
            return inner
        for name, entry in entries:
            path = f"{below}{name}"
            if path == ".git" or path in self._closed:
                continue
            try:
                stamp = Stamp.of(entry.stat(follow_symlinks=False))
            except FileNotFoundError:
                continue
            if is_git_folder(name):
                self._note(Found(path, stamp, Oddity.GIT_NAME))
            elif stat.S_ISDIR(stamp.mode):
                inner.append((name, stamp))
            else:
                plain = stat.S_ISREG(stamp.mode) or stat.S_ISLNK(stamp.mode)
                self._note(Found(path, stamp, None if plain else Oddity.SPECIAL))
        return inner

    def _note(self, found: Found) -> None:
        if len(self.found) >= _MAX_ENTRIES:
            raise StepFailedError(
                f"The work tree holds more than {_MAX_ENTRIES} files. Remove what the commands left there.",
                code="tree_too_large",
            )
        self.found.append(found)
