"""Opening folders of a hostile tree one component at a time.

The kernel's `openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)` by hand, for kernels and container engines that lack or
forbid it: every component is opened relative to the open folder above it, never through a link, and `..` is never
used. Whatever is renamed or swapped meanwhile, what is opened was in the tree.
"""

import os
from collections.abc import Callable
from pathlib import Path

from aicd_github.tree.names import to_disk

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Beneath:
    """The open folders on the way to one place of a tree; going to the next place keeps what both have in common.

    Args:
        root: the tree; must be a real folder.
        make: makes a folder, given its name and the open folder above it; None when nothing is to be made.
    """

    def __init__(self, root: Path, make: Callable[[bytes, int], None] | None = None) -> None:
        self._make = make
        self._names: list[str] = []
        self._open = [os.open(root, _FOLDER)]

    def __enter__(self) -> "Beneath":
        return self

    def __exit__(self, *_: object) -> None:
        for folder in self._open:
            os.close(folder)

    def folder_of(self, path: str) -> tuple[int, bytes]:
        """The open folder that holds the path's last component, and that component's name on disk.

        Raises:
            OSError: a component is missing, no folder, or a link (ENOENT, ENOTDIR, ELOOP).
        """
        *above, last = path.split("/")
        common = 0
        while common < min(len(above), len(self._names)) and above[common] == self._names[common]:
            common += 1
        while len(self._names) > common:
            self._names.pop()
            os.close(self._open.pop())
        for name in above[common:]:
            self._down(name)
        return self._open[-1], to_disk(last)

    def _down(self, name: str) -> None:
        disk_name = to_disk(name)
        if self._make is not None:
            self._make(disk_name, self._open[-1])
        self._open.append(os.open(disk_name, _FOLDER, dir_fd=self._open[-1]))
        self._names.append(name)
