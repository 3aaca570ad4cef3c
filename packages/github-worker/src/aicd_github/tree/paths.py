"""Which paths an agent may name. Pure."""

import re
from collections.abc import Iterator

from aicd_core.errors import InvalidInputError

# Characters that HFS+ ignores in names, so that `.g\u200cit` is `.git` there (git's own list, utf8.c).
_IGNORED_BY_HFS = dict.fromkeys([*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF], None)
_SHORT_GITMODULES = re.compile(r"gitmod~[1-4]|gi7e(?:ba?)?~[0-9]+")


def checked_parts(path: str, *, root_allowed: bool = False) -> tuple[str, ...]:
    """The path's components, `.` and doubled slashes left out.

    Args:
        path: relative to the tree's root.
        root_allowed: whether the root itself may be named.

    Raises:
        InvalidInputError: code `path_escapes`: absolute, `..`, `.git` in any spelling that some file
            system takes for it, NUL, not UTF-8, or nothing named.
    """
    if path.startswith("/"):
        raise escape(path, "it is absolute")
    if "\0" in path:
        raise escape(path, "it contains a NUL character")
    if not _is_unicode(path):
        raise escape(path, "it is not valid UTF-8")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if ".." in parts:
        raise escape(path, "it contains '..'")
    if any(is_git_folder(part) for part in parts):
        raise escape(path, "it names a .git folder")
    if not parts and not root_allowed:
        raise escape(path, "it names no file")
    return parts


def is_git_folder(part: str) -> bool:
    """Whether some file system would take this component for `.git`."""
    if part.isascii() and "git" not in part.casefold():
        return False
    return any(name in (".git", "git~1") for name in _names_for(part))


def is_gitmodules(path: str) -> bool:
    """Whether some file system would take this path for the root's `.gitmodules`.

    NTFS makes `GITMOD~1` of it, or, when that is taken, `GI7EBA~1` (git's own list, path.c).
    """
    if "/" in path:
        return False
    return any(name == ".gitmodules" or _SHORT_GITMODULES.fullmatch(name) for name in _names_for(path))


def _names_for(part: str) -> Iterator[str]:
    """The names that a component stands for on HFS+ and NTFS, case folded."""
    for piece in part.translate(_IGNORED_BY_HFS).casefold().split("\\"):
        yield re.sub(r"[ .]+$", "", piece.split(":", 1)[0])


def escape(path: str, why: str) -> InvalidInputError:
    """The error for a path that is not one of the tree's."""
    return InvalidInputError(
        f"{path!r} is not a path of the work tree: {why}. Name a file relative to the tree's root.",
        code="path_escapes",
    )


def _is_unicode(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def glob_regex(glob: str) -> str:
    """A regular expression for a glob over whole paths.

    `*` and `?` stay within a component, `**` crosses them, `[…]` is a set; a glob without a slash is
    matched against the file's name in any folder.
    """
    pattern = glob.removeprefix("/")
    if "/" not in glob:
        pattern = f"**/{glob}"
    tokens = re.findall(r"\*\*/|\*\*|\*|\?|\[!?\]?[^]/]*\]|.", pattern, re.DOTALL)
    return "".join(_glob_token(token) for token in tokens)


def _glob_token(token: str) -> str:
    fixed = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if token in fixed:
        return fixed[token]
    if token.startswith("[") and len(token) > 1:
        inner = token[1:-1].replace("\\", "\\\\").replace("[", "\\[").replace("&", "\\&")
        return f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
    return re.escape(token)
