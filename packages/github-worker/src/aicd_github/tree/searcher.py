"""Searching a tree with a regular expression, in a process of its own.

A regular expression can run for ever and Python cannot interrupt it: so the search is a child process that
is ended at its deadline. It imports nothing heavy and starts in some 20 ms.
"""

import json
import os
import re
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aicd_github.tree.listing import Entry, walk_files
from aicd_github.tree.paths import glob_regex

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MAX_FILE = 4 * 1024 * 1024
_MAX_LINE = 1000
_TEXT_PROBE = 8000  # git looks at as many bytes for a NUL to tell binary files


def search(root: Path, pattern: str, glob: str | None, limit: int) -> Iterator[tuple[str, int, str]]:
    """(path, line number, line) of the first `limit` lines that match, in path order.

    Binary files, files over 4 MiB and links are passed over; a line is cut at 1,000 characters.

    Raises:
        re.error: the pattern is not a regular expression.
    """
    wanted = re.compile(pattern)
    chosen = re.compile(glob_regex(glob), re.DOTALL) if glob else None
    found = 0
    for entry in walk_files(root):
        if chosen is not None and not chosen.fullmatch(entry.path):
            continue
        for number, line in enumerate(_lines(_content(entry)), 1):
            if found >= limit:
                return
            if wanted.search(line):
                found += 1
                yield entry.path, number, line[:_MAX_LINE]


def _content(entry: Entry) -> bytes:
    """What is in a regular file of bearable size; nothing for all else."""
    try:
        descriptor = os.open(entry.name, _READ, dir_fd=entry.folder)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode) or info.st_size > _MAX_FILE:
            return b""
        return file.read(_MAX_FILE)


def _lines(content: bytes) -> list[str]:
    if not content or b"\0" in content[:_TEXT_PROBE]:
        return []
    # Not splitlines(): it also splits where no editor and no diff counts a line.
    return content.decode("utf-8", "replace").replace("\r\n", "\n").removesuffix("\n").split("\n")


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """The matches for a question, or what is wrong with its pattern."""
    try:
        found = search(Path(question["root"]), question["pattern"], question["glob"], question["limit"])
        return {"matches": list(found)}
    except (re.error, OverflowError, RecursionError) as error:
        return {"error": str(error)}


def main() -> None:
    """Reads the question as JSON from standard input, writes the answer as JSON to standard output.

    The kernel ends it at the question's `deadline` (seconds), also when whoever asked was killed meanwhile.
    """
    question = json.load(sys.stdin)
    signal.alarm(question["deadline"])
    json.dump(answer(question), sys.stdout)
