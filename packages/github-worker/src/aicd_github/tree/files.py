"""Reading and writing single files of a hostile tree without ever leaving it.

Every component is opened by itself, relative to the folder above and without following links; links are
resolved here, step by step, over folders that are held open. So a link swapped in at any moment cannot
lead out.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aicd_core.errors import InvalidInputError, NotFoundError
from aicd_github.faults import disk_error
from aicd_github.tree.names import to_disk
from aicd_github.tree.paths import checked_parts, escape, is_git_folder

Owner = tuple[int, int]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_LINKS = 40
_CHANGED_UNDER_US = frozenset({errno.ELOOP, errno.EEXIST})


class _Walk:
    """A position in the tree: the folders from the root down, all held open."""

    def __init__(self, root: int, path: str) -> None:
        self.path = path
        self._folders = [root]

    @property
    def folder(self) -> int:
        return self._folders[-1]

    def up(self) -> None:
        if len(self._folders) == 1:
            raise escape(self.path, "a symbolic link in it leads out of the tree")
        os.close(self._folders.pop())

    def down(self, name: bytes) -> None:
        self._folders.append(os.open(name, _FOLDER, dir_fd=self.folder))

    def close(self) -> None:
        for folder in self._folders:
            os.close(folder)


class TreeFiles:
    """The regular files below one folder.

    Args:
        root: the tree; must be a real folder.
        owner: who must own what is written; None leaves it to this process's user.
        max_bytes: the largest file that is read.
    """

    def __init__(self, root: Path, owner: Owner | None, max_bytes: int) -> None:
        self.root = root
        self._owner = owner
        self._max_bytes = max_bytes

    def read(self, path: str) -> bytes:
        """The content of a regular file, links inside of the tree followed.

        Raises:
            NotFoundError: there is no such file.
            InvalidInputError: `path_escapes`, `not_a_file`, `file_too_large`, `unreadable`.
        """
        with self._at(path) as (folder, name):
            self._require_regular(os.stat(name, dir_fd=folder, follow_symlinks=False), path)
            descriptor = os.open(name, _READ, dir_fd=folder)
            with os.fdopen(descriptor, "rb") as file:
                self._require_regular(os.fstat(descriptor), path)
                content = file.read(self._max_bytes + 1)
        if len(content) > self._max_bytes:
            raise InvalidInputError(
                f"{path!r} is larger than the {self._max_bytes} bytes that are read at once. "
                "Look at a part of it with a command.",
                code="file_too_large",
            )
        return content

    def write(self, path: str, content: bytes, *, executable: bool | None) -> None:
        """Creates or replaces a regular file and its parent folders; `executable=None` keeps the mode.

        The file is always made anew: whatever else its old name was linked to stays as it is.

        Raises:
            InvalidInputError: `path_escapes`, `not_a_file`, `unreadable`.
            UnavailableError: the disk refused.
        """
        with self._at(path, create=True) as (folder, name):
            mode = 0o644
            with suppress(FileNotFoundError):
                old = os.stat(name, dir_fd=folder, follow_symlinks=False)
                self._require_regular(old, path)
                mode = stat.S_IMODE(old.st_mode) & 0o777
                os.unlink(name, dir_fd=folder)
            if executable is not None:
                mode = 0o755 if executable else 0o644
            descriptor = os.open(name, _CREATE, 0o600, dir_fd=folder)
            with os.fdopen(descriptor, "wb") as file:
                self._hand_over(descriptor)
                os.fchmod(descriptor, mode)
                file.write(content)

    def ensure_folder(self, path: str) -> list[str]:
        """Makes the folder if it is missing and returns the names in it.

        Raises:
            InvalidInputError: `path_escapes` or `not_a_file`: something else stands there.
        """
        with self._at(path, create=True, follow_last=False) as (folder, name):
            self._make_folder(folder, name)
            descriptor = os.open(name, _FOLDER, dir_fd=folder)
            try:
                with os.scandir(descriptor) as entries:
                    return [entry.name for entry in entries]
            finally:
                os.close(descriptor)

    @contextmanager
    def _at(self, path: str, *, create: bool = False, follow_last: bool = True) -> Iterator[tuple[int, bytes]]:
        """The open folder that holds the path's last component, and that component's name."""
        parts = checked_parts(path)
        walk: _Walk | None = None
        try:
            walk = _Walk(os.open(self.root, _FOLDER), path)
            name = self._descend(walk, list(reversed(parts)), create=create, follow_last=follow_last)
            yield walk.folder, name
        except OSError as error:
            raise self._sentence(error, path, create=create) from error
        finally:
            if walk is not None:
                walk.close()

    def _descend(self, walk: _Walk, pending: list[str], *, create: bool, follow_last: bool) -> bytes:
        links = 0
        while True:
            part = pending.pop()
            if part == "..":
                walk.up()
                if not pending:
                    raise InvalidInputError(f"{walk.path!r} is a folder, not a file.", code="not_a_file")
                continue
            name = to_disk(part)
            target = _link_target(name, walk.folder) if pending or follow_last else None
            if target is not None:
                links += 1
                pending.extend(_target_parts(walk.path, target, links))
            elif not pending:
                return name
            else:
                if create:
                    self._make_folder(walk.folder, name)
                walk.down(name)

    def _make_folder(self, folder: int, name: bytes) -> None:
        try:
            os.mkdir(name, 0o755, dir_fd=folder)
        except FileExistsError:
            return
        if self._owner is not None:
            os.chown(name, *self._owner, dir_fd=folder, follow_symlinks=False)

    def _hand_over(self, descriptor: int) -> None:
        if self._owner is not None:
            os.fchown(descriptor, *self._owner)

    @staticmethod
    def _require_regular(found: os.stat_result, path: str) -> None:
        if not stat.S_ISREG(found.st_mode):
            kind = "a folder" if stat.S_ISDIR(found.st_mode) else "not a regular file"
            raise InvalidInputError(f"{path!r} is {kind}; only regular files can be used.", code="not_a_file")

    def _sentence(self, error: OSError, path: str, *, create: bool) -> Exception:
        if error.errno == errno.ENOTDIR and create:
            return InvalidInputError(f"A folder in {path!r} is a file; no file can be below it.", code="not_a_file")
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return NotFoundError(f"There is no file {path!r} in the work tree.")
        if error.errno == errno.ENAMETOOLONG:
            return InvalidInputError(f"The path {path[:80]!r}… is too long for this file system.")
        if error.errno in _CHANGED_UNDER_US:
            return escape(path, "something in it was changed while it was opened")
        if error.errno in (errno.EACCES, errno.EPERM, errno.ENXIO):
            return InvalidInputError(f"{path!r} cannot be opened: {error.strerror}.", code="unreadable")
        return disk_error(error, self.root / path)


def _link_target(name: bytes, folder: int) -> str | None:
    try:
        return os.readlink(name, dir_fd=folder).decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:  # not a link
            return None
        raise


def _target_parts(path: str, target: str, links: int) -> list[str]:
    """The components of a link's target, last first."""
    if target.startswith("/"):
        raise escape(path, f"a symbolic link in it leads to {target!r}")
    if links > _MAX_LINKS:
        raise escape(path, "its symbolic links go in a circle")
    parts = [part for part in target.split("/") if part not in ("", ".")]
    if any(is_git_folder(part) for part in parts):
        raise escape(path, "a symbolic link in it names a .git folder")
    if not parts:
        raise InvalidInputError(f"{path!r} is a folder, not a file.", code="not_a_file")
    return parts[::-1]
