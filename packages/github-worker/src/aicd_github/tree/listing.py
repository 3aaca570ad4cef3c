"""Listing a hostile tree without following any link."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from aicd_github.tree.names import from_disk, to_disk
from aicd_github.tree.paths import checked_parts, is_git_folder

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_DEPTH = 256


def list_files(root: Path, prefix: str = "") -> list[str]:
    """All paths of files and links at or below `prefix`, sorted.

    `.git` folders are not entered, nor is anything deeper than 256 folders. Names that are not UTF-8 are
    left out: they cannot be passed on as text.

    Raises:
        InvalidInputError: code `path_escapes`.
        OSError: the root cannot be read.
    """
    parts = checked_parts(prefix, root_allowed=True)
    with ExitStack() as opened:
        folder = _open(opened, os.fsencode(root), None)
        assert folder is not None
        for depth, part in enumerate(parts):
            inner = _open(opened, to_disk(part), folder)
            if inner is None:
                return _single(part, folder, prefix="/".join(parts)) if depth == len(parts) - 1 else []
            folder = inner
        below = "".join(f"{part}/" for part in parts)
        return sorted(path for path in _walk(folder, below) if _is_unicode(path))


def _single(name: str, folder: int, prefix: str) -> list[str]:
    try:
        os.stat(to_disk(name), dir_fd=folder, follow_symlinks=False)
    except OSError:
        return []
    return [prefix]


def _open(opened: ExitStack, name: bytes, parent: int | None) -> int | None:
    try:
        descriptor = os.open(name, _FOLDER, dir_fd=parent)
    except OSError:
        if parent is None:
            raise
        return None
    opened.callback(os.close, descriptor)
    return descriptor


def _walk(folder: int, below: str) -> Iterator[str]:
    """Depth first with an explicit stack: a hostile depth must not exhaust Python's."""
    with ExitStack() as opened:
        stack = [(folder, below, _entries(folder), opened)]
        while stack:
            folder, below, entries, _ = stack[-1]
            if not entries:
                stack.pop()[3].close()
                continue
            name, is_folder = entries.pop()
            if not is_folder:
                yield below + name
            elif len(stack) < _MAX_DEPTH:
                closing = opened.enter_context(ExitStack())
                inner = _open(closing, to_disk(name), folder)
                if inner is not None:
                    stack.append((inner, f"{below}{name}/", _entries(inner), closing))


def _entries(folder: int) -> list[tuple[str, bool]]:
    with os.scandir(folder) as entries:
        return [
            (from_disk(entry.name), entry.is_dir(follow_symlinks=False))
            for entry in entries
            if not is_git_folder(entry.name)
        ]


def _is_unicode(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
