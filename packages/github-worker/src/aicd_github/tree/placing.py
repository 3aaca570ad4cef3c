"""Putting files into a hostile tree without ever writing outside of it."""

import errno
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from aicd_github.tree.names import from_disk, to_disk
from aicd_github.tree.survey import Stamp, wait_for_tick

Owner = tuple[int, int]
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_IN_USE = frozenset({errno.ENOTEMPTY, errno.EEXIST})


def place(staging: Path, root: Path, owner: Owner | None) -> dict[str, Stamp]:
    """Moves a folder's finished files to the same paths of the tree, replacing files and links that stand there.

    A file is written where nobody else can reach it and only names are moved, between two open folders: what is
    swapped in at the destination meanwhile is replaced or stops the move, and is never written through. A folder that
    the tree does not have is moved as one.

    Args:
        staging: holds the files, on the same file system; the folders that the tree has, too, stay behind.
        owner: who must own what is moved.

    Returns:
        The stamps of the files that were moved with their folder. A file's own move changes its ctime, and what a look
        at it in the tree says could be somebody else's doing.

    Raises:
        OSError: the disk refused, or something else was put in the way.
    """
    stamps = _handed_over(staging, owner)
    # Whoever changes a file from the moment that it is in the tree gives it another ctime.
    wait_for_tick()

    def move(folders: list[int], below: str) -> list[str]:
        entered = []
        for name, is_folder in _entries(folders[0]):
            if not _moved(to_disk(name), *folders):
                entered.append(name)
            elif not is_folder:
                del stamps[below + name]
        return entered

    _walk([staging, root], move)
    return stamps


def _handed_over(staging: Path, owner: Owner | None) -> dict[str, Stamp]:
    """Gives every entry itself to another user, never what a link points to; the files' stamps after that."""
    stamps: dict[str, Stamp] = {}

    def hand_over(folders: list[int], below: str) -> list[str]:
        (folder,) = folders
        entries = _entries(folder)
        for name, is_folder in entries:
            if owner is not None:
                os.chown(to_disk(name), *owner, dir_fd=folder, follow_symlinks=False)
            if not is_folder:
                stamps[below + name] = Stamp.of(os.stat(to_disk(name), dir_fd=folder, follow_symlinks=False))
        return [name for name, is_folder in entries if is_folder]

    _walk([staging], hand_over)
    return stamps


def _moved(name: bytes, source: int, target: int) -> bool:
    """Whether the entry could be moved: not a folder that there is already, with something in it."""
    try:
        os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
    except OSError as error:
        if error.errno not in _IN_USE:
            raise
        return False
    return True


def _walk(roots: list[Path], visit: Callable[[list[int], str], list[str]]) -> None:
    """Visits the same folder below all roots at once, outer ones first.

    Args:
        visit: gets the open folders, and their path with a slash at its end; returns the folders in them to go into.
    """
    with ExitStack() as opened:
        folders = [_open(opened, os.fsencode(root), None) for root in roots]
        stack = [(folders, "", visit(folders, ""), opened)]
        while stack:
            folders, below, inner, _ = stack[-1]
            if not inner:
                stack.pop()[3].close()
                continue
            name = inner.pop()
            closing = opened.enter_context(ExitStack())
            deeper = [_open(closing, to_disk(name), folder) for folder in folders]
            stack.append((deeper, f"{below}{name}/", visit(deeper, f"{below}{name}/"), closing))


def _open(opened: ExitStack, name: bytes, parent: int | None) -> int:
    descriptor = os.open(name, _FOLDER, dir_fd=parent)
    opened.callback(os.close, descriptor)
    return descriptor


def _entries(folder: int) -> list[tuple[str, bool]]:
    with os.scandir(folder) as entries:
        return [(from_disk(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries]
