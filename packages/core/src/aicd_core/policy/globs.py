"""Path patterns: the part of git's ignore syntax that `contracts.config.GLOB_PATTERN` lets through.

https://git-scm.com/docs/gitignore#_pattern_format
"""

import re
from functools import lru_cache

_ANY_FOLDERS = "(?:.*/)?"


@lru_cache(maxsize=2048)
def compile_glob(glob: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    """A regular expression for `fullmatch` on paths.

    `*` and `?` stay within a path's segment, `**` crosses segments. A pattern with a `/` before its end
    starts at the root, any other one matches at every depth; what it matches is a file, or a folder with
    all that is in it (with a `/` at its end only the latter).
    """
    body = glob.strip("/")
    anchored = "/" in glob.rstrip("/")
    pieces = [] if anchored else [_ANY_FOLDERS]
    segments = body.split("/")
    for segment, is_last in ((s, i == len(segments) - 1) for i, s in enumerate(segments)):
        if segment == "**":
            pieces.append(".+" if is_last else _ANY_FOLDERS)
        else:
            pieces.append(_segment(segment) + ("" if is_last else "/"))
    pieces.append("/.*" if glob.endswith("/") else "(?:/.*)?")
    return re.compile("".join(pieces), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _segment(segment: str) -> str:
    wild = {"*": "[^/]*", "?": "[^/]"}
    return "".join(wild.get(part) or re.escape(part) for part in re.findall(r"[^*?]+|\?|\*", _single(segment)))


def _single(segment: str) -> str:
    """Runs of `*` as one: within a segment they mean the same, and backtrack far less."""
    return re.sub(r"\*+", "*", segment)


def first_match(globs: tuple[str, ...], path: str, *, ignore_case: bool = False) -> str | None:
    """The first pattern that matches the path, or None."""
    return next((glob for glob in globs if compile_glob(glob, ignore_case=ignore_case).fullmatch(path)), None)
