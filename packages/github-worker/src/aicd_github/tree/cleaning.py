"""Emptying and handing over a tree whose content may be hostile: any depth, any mode, any link."""

import os
import secrets
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from aicd_github.tree.names import from_disk, to_disk
from aicd_github.tree.survey import Found, Stamp

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ALL_RIGHTS = 0o700


def empty(root: Path) -> None:
    """Removes everything in a folder, never anything behind a link.

    Raises:
        OSError: the disk refused.
    """
    keep_only(root, frozenset(), frozenset())


def keep_only(
    root: Path, files: Collection[str], folders: Collection[str], owner: tuple[int, int] | None = None
) -> list[Found]:
    """Removes everything from a tree but the given paths and the folders above them.

    Args:
        files: paths of files and links; foreign bytes as surrogates.
        folders: folders that stay, emptied of all but `files`.
        owner: who must own what stays; None leaves it as it is.

    Returns:
        What stays at the paths of `files`, after it was handed over.

    Raises:
        OSError: the disk refused.
    """
    kept_files = frozenset(files)
    kept_folders = _with_parents(kept_files, frozenset(folders))
    trash = _Trash(root, owner)
    try:
        waiting = [""]
        while waiting:
            waiting += trash.sweep(waiting.pop(), kept_files, kept_folders)
        trash.burn()
    finally:
        trash.close()
    return trash.kept


def remove(root: Path) -> None:
    """Removes a folder and everything in it.

    Raises:
        OSError: the disk refused.
    """
    empty(root)
    root.rmdir()


def _give(folder: int, owner: tuple[int, int]) -> None:
    found = os.fstat(folder)
    if (found.st_uid, found.st_gid) != owner:
        os.fchown(folder, *owner)


def _handed_over(name: bytes, folder: int, owner: tuple[int, int] | None) -> os.stat_result:
    """Gives an entry to another user: itself, never what a link points to. Returns its status after that.

    What is theirs already is left alone: changing an owner to itself still changes the ctime, by which a file that is
    as it was laid is told.
    """
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if owner is None or (found.st_uid, found.st_gid) == owner:
        return found
    os.chown(name, *owner, dir_fd=folder, follow_symlinks=False)
    return os.stat(name, dir_fd=folder, follow_symlinks=False)


def _with_parents(files: frozenset[str], folders: frozenset[str]) -> frozenset[str]:
    found = set(folders)
    for path in (*files, *folders):
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return frozenset(found)


class _Trash:
    """Removes by moving every unwanted folder to the root first: then no depth is too deep."""

    def __init__(self, root: Path, owner: tuple[int, int] | None) -> None:
        self.kept: list[Found] = []
        self._owner = owner
        self._root = os.open(root, _FOLDER)
        self._prefix = f".aicd-trash-{secrets.token_hex(8)}-"
        self._moved: list[str] = []
        self._count = 0

    def close(self) -> None:
        os.close(self._root)

    def sweep(self, below: str, files: frozenset[str], folders: frozenset[str]) -> list[str]:
        """Clears one kept folder; returns the kept folders directly in it."""
        descriptor = self._open_below(below)
        try:
            if self._owner is not None:
                _give(descriptor, self._owner)
            inner = []
            for name, is_folder in _entries(descriptor):
                path = f"{below}/{name}" if below else name
                if is_folder and path in folders:
                    inner.append(path)
                elif is_folder:
                    self._move(name, descriptor)
                elif path in files:
                    self.kept.append(Found(path, Stamp.of(_handed_over(to_disk(name), descriptor, self._owner))))
                else:
                    os.unlink(to_disk(name), dir_fd=descriptor)
            return inner
        finally:
            os.close(descriptor)

    def burn(self) -> None:
        """Removes what was moved, and what is found inside of it, one level at a time."""
        while self._moved:
            name = self._moved.pop()
            descriptor = _open(name, self._root)
            try:
                for inner, is_folder in _entries(descriptor):
                    if is_folder:
                        self._move(inner, descriptor)
                    else:
                        os.unlink(to_disk(inner), dir_fd=descriptor)
            finally:
                os.close(descriptor)
            os.rmdir(name, dir_fd=self._root)

    def _open_below(self, below: str) -> int:
        descriptor = os.dup(self._root)
        for part in below.split("/") if below else ():
            above = descriptor
            try:
                descriptor = _open(part, above)
            finally:
                os.close(above)
        if not below:
            _grant(descriptor)
        return descriptor

    def _move(self, name: str, folder: int) -> None:
        self._count += 1
        moved = f"{self._prefix}{self._count}"
        try:
            os.rename(to_disk(name), moved, src_dir_fd=folder, dst_dir_fd=self._root)
        except PermissionError:
            # Moving a folder rewrites its "..", for which its own owner needs the right to write.
            _force(name, folder)
            os.rename(to_disk(name), moved, src_dir_fd=folder, dst_dir_fd=self._root)
        self._moved.append(moved)


def _entries(folder: int) -> list[tuple[str, bool]]:
    with os.scandir(folder) as entries:
        return [(from_disk(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries]


def _open(name: str, parent: int) -> int:
    try:
        descriptor = os.open(to_disk(name), _FOLDER, dir_fd=parent)
    except PermissionError:
        _force(name, parent)
        descriptor = os.open(to_disk(name), _FOLDER, dir_fd=parent)
    _grant(descriptor)
    return descriptor


def _grant(descriptor: int) -> None:
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    if mode & _ALL_RIGHTS != _ALL_RIGHTS:
        with suppress(PermissionError):
            os.fchmod(descriptor, mode | _ALL_RIGHTS)


def _force(name: str, parent: int) -> None:
    """Opens up a folder that cannot even be opened, through a descriptor that needs no rights."""
    handle = os.open(to_disk(name), os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        Path(f"/proc/self/fd/{handle}").chmod(_ALL_RIGHTS)
    finally:
        os.close(handle)
