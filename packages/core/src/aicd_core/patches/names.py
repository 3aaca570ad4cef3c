"""File names as diffs write them."""

import re
from datetime import datetime

from aicd_core.patches.model import PatchError

_ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}
_ESCAPE = re.compile(r"\\([0-3][0-7]{2}|.)", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_EPOCH = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.0+)? ([+-]\d{4})", re.ASCII)

LONGEST_NAME_LINE = 65_536
"""Characters of a header line that is read: two paths of PATH_MAX (4,096 bytes), each byte as `\\ooo`, and more."""

DEV_NULL = "/dev/null"


def unquote(quoted: str, line: int) -> str:
    r"""The name inside git's C-style quotes (`"a/\303\251.txt"`), which hold bytes of UTF-8."""
    content = bytearray()
    position = 0
    for escape in _ESCAPE.finditer(quoted):
        content += quoted[position : escape.start()].encode("utf-8", "surrogatepass")
        content.append(_escaped_byte(escape[1], line))
        position = escape.end()
    content += quoted[position:].encode("utf-8", "surrogatepass")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise PatchError(f'the file name "{quoted}" is not UTF-8, which is not supported', line) from None


def _escaped_byte(escape: str, line: int) -> int:
    if len(escape) == 3:
        return int(escape, 8)
    if escape not in _ESCAPES:
        raise PatchError(f"the quoted file name holds an unknown escape \\{escape}", line)
    return _ESCAPES[escape]


def split_quoted(text: str, line: int) -> tuple[str, str]:
    """The unquoted name at the beginning of `text`, and what follows its closing quote."""
    match = _QUOTED.match(text)
    if match is None:
        raise PatchError("a quoted file name has no closing quote", line)
    return unquote(match[1], line), text[match.end() :]


def plain_name(text: str, line: int) -> str:
    """A name that takes the whole line, as after `rename from`."""
    return split_quoted(text, line)[0] if text.startswith('"') else text


def side_name(text: str, line: int) -> str | None:
    """The name after `--- ` or `+++ `; None for /dev/null and for a time stamp that means the same.

    A tab ends the name: git puts one after a name with blanks, other tools put the file's time there. GNU
    diff -N stamps a file that is not there with the epoch.
    """
    if text.startswith('"'):
        name, rest = split_quoted(text, line)
    else:
        name, _, rest = text.partition("\t")
    if name.rstrip() == DEV_NULL or _is_epoch(rest.strip()):
        return None
    if not name:
        raise PatchError("a file name is missing", line)
    return name


def _is_epoch(stamp: str) -> bool:
    match = _EPOCH.fullmatch(stamp)
    if match is None or not match[1].startswith(("1970-01-01", "1969-12-31")):
        return False
    try:
        return datetime.strptime(f"{match[1]} {match[2]}", "%Y-%m-%d %H:%M:%S %z").timestamp() == 0
    except ValueError:
        return False


def header_names(rest: str, line: int) -> tuple[str, str] | None:
    """Both names of a `diff --git` line when they can be told apart: quoted, or the same but for a prefix."""
    if len(rest) > LONGEST_NAME_LINE:
        raise PatchError("the file names are too long", line)
    if rest.startswith('"'):
        old, after = split_quoted(rest, line)
        return (old, plain_name(after[1:], line)) if after.startswith(" ") else None
    middle = len(rest) // 2
    if len(rest) % 2 == 0 or rest[middle] != " ":
        return None
    old, new = rest[:middle], rest[middle + 1 :]
    return (old, new) if old == new or _tail(old) == _tail(new) != "" else None


def _tail(name: str) -> str:
    return name.partition("/")[2]


def stripped(name: str, level: int, line: int) -> str:
    """The name without its first folder when `level` is 1, as `patch -p1` reads it."""
    if level == 0:
        return name
    tail = _tail(name)
    if not tail:
        raise PatchError(f"the file name {name!r} has no leading a/ or b/ while other names have one", line)
    return tail


def votes_for_no_prefix(old: str | None, new: str | None) -> bool:
    """Whether a header's two full names (None: /dev/null) read as written without a/ and b/.

    Two names with prefixes never share their first folder; one name alone has a prefix only if it is git's.
    """
    if old is None or new is None:
        name, prefix = (new, "b/") if old is None else (old, "a/")
        return name is not None and not name.startswith(prefix)
    return "/" not in old or "/" not in new or old.partition("/")[0] == new.partition("/")[0]
