"""Taking files of a hostile tree to where nobody but the host can reach them."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aicd_core.errors import StepFailedError
from aicd_github.tree.beneath import Beneath
from aicd_github.tree.survey import Found, Stamp

MAX_FILE = 100 * 1024 * 1024
"""Bytes of the largest new or changed file: no code host that is known takes a larger one."""
MAX_TOTAL = 1024 * 1024 * 1024
"""Bytes of all new and changed files of one change."""

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PIECE = 1024 * 1024
_SWAPPED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.ENXIO})


class TreeMovedError(Exception):
    """Something in the tree was changed while it was taken: it has to be surveyed again."""


@dataclass(frozen=True)
class Taken:
    """A file's content as it was at one moment.

    Args:
        stamp: taken before the content.
        settled: whether the stamp was so when it was taken; else it does not tell this content from the next one.
        sha: the content's object name.
    """

    path: str
    stamp: Stamp
    settled: bool
    sha: str


Store = Callable[[str, int, Iterable[bytes]], None]
"""Stores a content: its object name, its size in bytes, its pieces. What reading them raises passes through, and then
nothing is stored."""


def take(
    root: Path, wanted: Sequence[Found], known: Mapping[str, str], store: Store, form: Literal["sha1", "sha256"]
) -> list[Taken]:
    """Reads the files, and stores those whose content is not the known one.

    Args:
        wanted: files and links, as surveyed.
        known: the object name that a path had; such a content is not stored.

    Raises:
        TreeMovedError: the tree was changed meanwhile.
        StepFailedError: code `uncommittable_tree`: a file may not be opened, or belongs to somebody else.
        OSError: the disk refused.
    """
    owner = root.stat(follow_symlinks=False).st_uid
    taken = []
    with Beneath(root) as beneath:
        for found in wanted:
            try:
                folder, name = beneath.folder_of(found.path)
                taker = _Taker(found.path, known.get(found.path), store, form, owner)
                taken.append(taker.take(folder, name, link=stat.S_ISLNK(found.stamp.mode)))
            except OSError as error:
                raise _fault(error, found.path) from error
    return taken


def require_bounded(wanted: Sequence[Found], base_sizes: Mapping[str, int | None]) -> None:
    """Refuses more than the host is willing to read; what is as large as at the base does not count.

    Raises:
        StepFailedError: `file_too_large` or `change_too_large`.
    """
    total = 0
    for found in wanted:
        if found.stamp.size == base_sizes.get(found.path):
            continue
        if found.stamp.size > MAX_FILE:
            raise StepFailedError(
                f"The file {found.path!r} has {found.stamp.size} bytes, and a change may hold files of at most "
                f"{MAX_FILE}. Remove it, or let .gitignore name it.",
                code="file_too_large",
            )
        total += found.stamp.size
    if total > MAX_TOTAL:
        raise StepFailedError(
            f"The new and changed files have {total} bytes together, and a change may have {MAX_TOTAL}. "
            "Remove what is not needed, or let .gitignore name it.",
            code="change_too_large",
        )


@dataclass(frozen=True)
class _Taker:
    path: str
    known: str | None
    store: Store
    form: Literal["sha1", "sha256"]
    owner: int

    def take(self, folder: int, name: bytes, *, link: bool) -> Taken:
        return self._link(folder, name) if link else self._file(folder, name)

    def _link(self, folder: int, name: bytes) -> Taken:
        stamp = Stamp.of(os.stat(name, dir_fd=folder, follow_symlinks=False))
        settled = stamp.settled()
        target = os.readlink(name, dir_fd=folder)
        return self._taken(stamp, settled, len(target), lambda: iter([target]))

    def _file(self, folder: int, name: bytes) -> Taken:
        descriptor = os.open(name, _READ, dir_fd=folder)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise TreeMovedError(self.path)
            if found.st_nlink > 1 and found.st_uid != self.owner:
                raise _uncommittable(self.path, "is a second name of a file of another user")
            stamp = Stamp.of(found)
            return self._taken(stamp, stamp.settled(), stamp.size, lambda: _pieces(descriptor, stamp.size))
        finally:
            os.close(descriptor)

    def _taken(self, stamp: Stamp, settled: bool, size: int, read: Callable[[], Iterator[bytes]]) -> Taken:
        """Hashes first: after a restart most files are what they were, and need not be stored."""
        head = b"blob %d\0" % size
        digest = hashlib.new(self.form, head, usedforsecurity=False)
        for piece in read():
            digest.update(piece)
        sha = digest.hexdigest()
        if sha != self.known:
            again = hashlib.new(self.form, head, usedforsecurity=False)
            self.store(sha, size, self._same(read(), again, sha))
        return Taken(self.path, stamp, settled, sha)

    def _same(self, pieces: Iterator[bytes], digest: "hashlib._Hash", sha: str) -> Iterator[bytes]:
        """The pieces, if in the end they are what they were when they were read before."""
        for piece in pieces:
            digest.update(piece)
            yield piece
        if digest.hexdigest() != sha:
            raise TreeMovedError(self.path)


def _pieces(descriptor: int, size: int) -> Iterator[bytes]:
    """The first `size` bytes of a file; it may grow or shrink meanwhile."""
    at = 0
    while at < size:
        piece = os.pread(descriptor, min(_PIECE, size - at), at)
        if not piece:
            raise TreeMovedError
        at += len(piece)
        yield piece


def _fault(error: OSError, path: str) -> Exception:
    if error.errno in _SWAPPED:
        return TreeMovedError(path)
    if error.errno in (errno.EACCES, errno.EPERM):
        return _uncommittable(path, f"cannot be opened: {error.strerror}")
    return error


def _uncommittable(path: str, why: str) -> StepFailedError:
    return StepFailedError(
        f"The changed tree could not be recorded: {path!r} {why}. Remove or repair it.", code="uncommittable_tree"
    )
