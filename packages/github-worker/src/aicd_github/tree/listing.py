"""Listing a hostile tree without following any link."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from aicd_github.tree.names import from_disk, to_disk
from aicd_github.tree.paths import checked_parts, is_git_folder

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_DEPTH = 256


@dataclass(frozen=True)
class Entry:
    """A file, link or special file, and the open folder that it is in; valid until the next one is asked for."""

    path: str
    folder: int
    name: bytes


def list_files(root: Path, prefix: str = "") -> list[str]:
    """All paths of files and links at or below `prefix`, sorted.

    `.git` folders are not entered, nor is anything deeper than 256 folders. Names that are not UTF-8 are
    left out: they cannot be passed on as text.

    Raises:
        InvalidInputError: code `path_escapes`.
        OSError: the root cannot be read.
    """
    return [entry.path for entry in walk_files(root, prefix)]


def walk_files(root: Path, prefix: str = "") -> Iterator[Entry]:
    """What `list_files` lists, in the same order, one by one."""
    parts = checked_parts(prefix, root_allowed=True)
    with ExitStack() as opened:
        folder = _open(opened, os.fsencode(root), None)
        assert folder is not None
        for depth, part in enumerate(parts):
            inner = _open(opened, to_disk(part), folder)
            if inner is None:
                if depth == len(parts) - 1 and _exists(to_disk(part), folder):
                    yield Entry("/".join(parts), folder, to_disk(part))
                return
            folder = inner
        yield from _walk(folder, "".join(f"{part}/" for part in parts))


def _exists(name: bytes, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def _open(opened: ExitStack, name: bytes, parent: int | None) -> int | None:
    try:
        descriptor = os.open(name, _FOLDER, dir_fd=parent)
    except OSError:
        if parent is None:
            raise
        return None
    opened.callback(os.close, descriptor)
    return descriptor


def _walk(folder: int, below: str) -> Iterator[Entry]:
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
                yield Entry(below + name, folder, to_disk(name))
            elif len(stack) < _MAX_DEPTH:
                closing = opened.enter_context(ExitStack())
                inner = _open(closing, to_disk(name), folder)
                if inner is not None:
                    stack.append((inner, f"{below}{name}/", _entries(inner), closing))


def _entries(folder: int) -> list[tuple[str, bool]]:
    """The last one first. A folder counts as its name with a slash: so whole paths come out sorted."""
    with os.scandir(folder) as found:
        entries = [(from_disk(entry.name), entry.is_dir(follow_symlinks=False)) for entry in found]
    wanted = [entry for entry in entries if _is_unicode(entry[0]) and not is_git_folder(entry[0])]
    return sorted(wanted, key=lambda entry: f"{entry[0]}/" if entry[1] else entry[0], reverse=True)


def _is_unicode(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
