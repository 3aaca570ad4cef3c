"""Reading the text files of a tree through a workspace."""

import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath

from aicd_brain.retrieval.values import SourceFile
from aicd_core.contracts import Workspace
from aicd_core.errors import InvalidInputError, NotFoundError

MAX_FILES = 50_000
MAX_BYTES = 400_000
"""A longer file is data, or was generated."""
BINARY_LOOK = 8000
"""Bytes at the start of a file in which a NUL makes it binary, as git has it."""

SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", ".venv", "site-packages"})
SKIPPED_SUFFIXES = frozenset(
    {
        *(".png", ".jpg", ".jpeg", ".gif", ".ico", ".webp", ".svg", ".pdf", ".woff", ".woff2", ".ttf", ".otf", ".eot"),
        *(".zip", ".gz", ".xz", ".bz2", ".zst", ".tar", ".whl", ".jar", ".so", ".dll", ".exe", ".class", ".pyc"),
        *(".mp3", ".mp4", ".mov", ".wasm", ".lock", ".map", ".snap", ".bin", ".db", ".sqlite"),
    }
)
SKIPPED_ENDINGS = (".min.js", ".min.css", "package-lock.json", "pnpm-lock.yaml", "go.sum")


def is_wanted(path: str) -> bool:
    """Whether a file of that name may hold text that people write."""
    place = PurePosixPath(path)
    skipped = place.suffix.lower() in SKIPPED_SUFFIXES or path.endswith(SKIPPED_ENDINGS)
    return not skipped and SKIPPED_FOLDERS.isdisjoint(place.parts[:-1])


def blob_id(content: bytes) -> str:
    """The object name (SHA-1, hex) that git gives the content: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def as_source(path: str, content: bytes) -> SourceFile | None:
    """The file as text; None when it is binary, or too long to be read by anybody."""
    if len(content) > MAX_BYTES or b"\0" in content[:BINARY_LOOK]:
        return None
    return SourceFile(path, blob_id(content), content.decode("utf-8", "replace"))


async def read_tree(workspace: Workspace) -> tuple[SourceFile, ...]:
    """The tree's text files in the order of their paths; links and what cannot be read are passed over."""
    paths: Sequence[str] = [path for path in await workspace.list() if is_wanted(path)]
    found: list[SourceFile] = []
    for path in paths[:MAX_FILES]:
        try:
            content = await workspace.read(path)
        except (InvalidInputError, NotFoundError):
            continue
        file = as_source(path, content)
        if file is not None:
            found.append(file)
    return tuple(found)
