"""What `.gitattributes` files say of paths, as far as Git LFS is concerned. Pure.

https://git-scm.com/docs/gitattributes
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from aicd_core.patches import PatchError
from aicd_core.patches.names import split_quoted

FILE_NAME = ".gitattributes"
_LFS = "lfs"
_MACRO = "[attr]"
_PARTS = re.compile(r"\*\*|\*|\?|\[[!^]?\]?[^\]]*\]|\\.|[^*?\[\\]+|.", re.DOTALL)


@dataclass(frozen=True)
class _Line:
    pattern: re.Pattern[str]
    lfs: bool


class LfsPaths:
    """The paths that `filter=lfs` holds for.

    Args:
        contents: the `.gitattributes` files of a commit, by path.
    """

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._macros: dict[str, str | None] = {}
        root = contents.get(FILE_NAME, b"")
        self._lines = {"": self._parsed(root)}
        for path, content in contents.items():
            self._lines[path.removesuffix(FILE_NAME)] = self._parsed(content)

    def holds(self, path: str) -> bool:
        """The last line of the nearest file that says anything about it decides."""
        for file in attribute_files(path):
            folder = file.removesuffix(FILE_NAME)
            for line in reversed(self._lines.get(folder, [])):
                if line.pattern.fullmatch(path[len(folder) :]):
                    return line.lfs
        return False

    def _parsed(self, content: bytes) -> list[_Line]:
        lines = []
        for text in content.decode("utf-8", "replace").splitlines():
            pattern, attributes = _split(text.strip())
            if pattern.startswith(_MACRO):
                self._macros[pattern.removeprefix(_MACRO)] = _filter_of(attributes, {})
            elif pattern and not pattern.startswith("#"):
                said = _filter_of(attributes, self._macros)
                if said is not None:
                    lines.append(_Line(_compiled(pattern), said == _LFS))
        return lines


def attribute_files(path: str) -> list[str]:
    """Where attributes of a path may be said, the nearest first."""
    folders = path.split("/")[:-1]
    return ["/".join((*folders[:depth], FILE_NAME)) for depth in range(len(folders), -1, -1)]


def _split(text: str) -> tuple[str, list[str]]:
    if text.startswith('"'):
        try:
            pattern, rest = split_quoted(text, 1)
        except PatchError:
            return "", []
        return pattern, rest.split()
    pattern, *attributes = text.split() or [""]
    return pattern, attributes


def _filter_of(attributes: list[str], macros: Mapping[str, str | None]) -> str | None:
    """The filter that a line sets; an empty one when it takes it away, None when it does not say."""
    said: str | None = None
    for attribute in attributes:
        name, _, value = attribute.partition("=")
        if name.lstrip("-!") == "filter":
            said = value
        elif attribute in macros and macros[attribute] is not None:
            said = macros[attribute]
    return said


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    """As git matches: without a slash the name alone, else the path from the file's own folder."""
    anchored = "/" in pattern
    body = pattern.removeprefix("/")
    pieces = [] if anchored else ["(?:.*/)?"]
    for segment in (segments := body.split("/")):
        last = segment is segments[-1]
        if segment == "**":
            pieces.append(".+" if last else "(?:.*/)?")
        else:
            pieces.append("".join(map(_piece, _PARTS.findall(segment))) + ("" if last else "/"))
    try:
        return re.compile("".join(pieces), re.DOTALL)
    except re.error:
        return re.compile(r"(?!)")


def _piece(part: str) -> str:
    if part in ("*", "**"):
        return "[^/]*"
    if part == "?":
        return "[^/]"
    if part.startswith("[") and part.endswith("]") and len(part) > 2:
        inner = part[1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"[^/{inner[1:]}]" if inner[0] in "!^" else f"[{inner}]"
    return re.escape(part[1:] if part.startswith("\\") and len(part) == 2 else part)
