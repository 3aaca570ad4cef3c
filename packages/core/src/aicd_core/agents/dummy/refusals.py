"""What a diff may not do, told from its text alone."""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aicd_core.patches import FilePatch

_SYMLINK: Final = "120000"
_SUBMODULE: Final = "160000"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a diff cannot be used: a stable code, and the end of a sentence that begins with the diff's name."""

    code: str
    reason: str


def refusal_of(files: Sequence[FilePatch]) -> Refusal | None:
    """The first reason to refuse a diff without trying it; None when there is none."""
    if not files:
        return Refusal("no_usable_diff", "it holds no change of any file")
    for file in files:
        refusal = _escape(file) or _binary(file) or _submodule(file) or _escaping_link(file)
        if refusal is not None:
            return refusal
    return None


def _escape(file: FilePatch) -> Refusal | None:
    for path in (file.path, file.old_path):
        if path is not None and not _inside(path):
            return Refusal("path_escapes", f"it names {path!r}, which is outside of the repository's own files")
    return None


def _inside(path: str) -> bool:
    """Git's own rule for paths: relative, no empty, `.`, `..` or `.git` part, whatever the case."""
    return all(part.lower() not in ("", ".", "..", ".git") for part in path.split("/"))


def _binary(file: FilePatch) -> Refusal | None:
    if not file.binary:
        return None
    return Refusal(
        "binary_patch", f"it changes the binary file {file.path!r}, and only changes of text are carried out"
    )


def _submodule(file: FilePatch) -> Refusal | None:
    if _SUBMODULE not in (file.old_mode, file.new_mode):
        return None
    return Refusal("submodule_change", f"it changes the submodule {file.path!r}, which is not supported")


def _escaping_link(file: FilePatch) -> Refusal | None:
    if file.new_mode != _SYMLINK or not file.hunks:
        return None
    target = "".join(file.hunks[0].new_lines()).removesuffix("\n")
    landing = posixpath.normpath(posixpath.join(posixpath.dirname(file.path), target))
    if not target or ((not target.startswith("/") and _inside(landing)) or landing == "."):
        return None
    return Refusal(
        "path_escapes",
        f"it lays the symbolic link {file.path!r} to {target!r}, which is outside of the repository's own files",
    )
