"""Putting files into a hostile tree without ever writing outside of it."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from aicd_github.tree.beneath import Beneath
from aicd_github.tree.survey import Stamp, wait_for_tick

Owner = tuple[int, int]
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER_MODE = 0o755


def place(staging: Path, root: Path, paths: Sequence[str], owner: Owner | None) -> dict[str, Stamp]:
    """Moves finished files to the same paths of the tree, replacing files and links that stand there.

    A file is written where nobody else can reach it and only its name is moved, between two open folders: what is
    swapped in at the destination meanwhile is replaced or stops the move, and is never written through.

    Args:
        staging: holds the files, on the same file system.
        owner: who must own the folders that are made.

    Returns:
        The stamp of every file that was moved.

    Raises:
        OSError: the disk refused, or something else was put in the way.
    """

    def make(name: bytes, folder: int) -> None:
        with suppress(FileExistsError):
            os.mkdir(name, _FOLDER_MODE, dir_fd=folder)
            _finish_folder(os.open(name, _FOLDER, dir_fd=folder), owner)

    stamps = {}
    with Beneath(staging) as source, Beneath(root, make) as target:
        for path in sorted(paths):
            here, name = source.folder_of(path)
            there, _ = target.folder_of(path)
            os.rename(name, name, src_dir_fd=here, dst_dir_fd=there)
            stamps[path] = Stamp.of(os.stat(name, dir_fd=there, follow_symlinks=False))
    wait_for_tick()
    return stamps


def _finish_folder(descriptor: int, owner: Owner | None) -> None:
    """Through the descriptor: by its name, the folder could be a link by now."""
    try:
        os.fchmod(descriptor, _FOLDER_MODE)
        if owner is not None:
            os.fchown(descriptor, *owner)
    finally:
        os.close(descriptor)
