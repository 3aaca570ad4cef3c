"""Reading git's machine output: what changed between two trees. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aicd_core.contracts.change import FileChange, FileOp
from aicd_core.errors import StepFailedError

SIZES = "--batch-check=%(objectname) %(objectsize)"
"""What `parse_sizes` reads is written by `git cat-file` with this option."""
GITLINK = "160000"
SYMLINK = "120000"
DELTA_OPTIONS = (
    *("--raw", "--numstat", "-p", "-z", "--binary", "--full-index"),
    # Pairs compared in the search for renames, 1000 by 1000: git's own default since 2.34, written down so
    # that no configuration changes what a change set says.
    *("-M50%", "-l1000"),
    *("--no-textconv", "--no-ext-diff", "--no-color", "--src-prefix=a/", "--dst-prefix=b/"),
    # A .gitmodules in the tree could hide a submodule's change from the diff.
    "--ignore-submodules=none",
)
"""What `parse_delta` reads is written by git with exactly these options."""
_NOTHING = "000000"
_NO_FILE = (_NOTHING, GITLINK)
_OPS = {"A": FileOp.CREATE, "D": FileOp.DELETE, "M": FileOp.MODIFY, "T": FileOp.MODIFY, "R": FileOp.RENAME}


@dataclass(frozen=True)
class TreeEntry:
    """A path of a commit: its octal mode and its object's name."""

    mode: str
    sha: str


@dataclass(frozen=True)
class RawChange:
    """One changed path as git reports it; paths are the bytes git stores."""

    status: str
    old_mode: str
    new_mode: str
    old_sha: str
    new_sha: str
    path: bytes
    old_path: bytes | None

    @property
    def removed(self) -> bool:
        return self.new_mode == _NOTHING


@dataclass(frozen=True)
class Delta:
    """A whole difference: changed paths, (added, removed) lines per path (None: binary), and the patch."""

    changes: tuple[RawChange, ...]
    lines: Mapping[bytes, tuple[int, int] | None]
    patch: bytes


def parse_tree(listing: bytes) -> dict[str, TreeEntry]:
    """The output of `git ls-tree -r -z`; a name that is not UTF-8 keeps its bytes as surrogates."""
    entries = {}
    for record in listing.split(b"\0")[:-1]:
        meta, path = record.split(b"\t", 1)
        mode, _, sha = meta.decode("ascii").split()
        entries[path.decode("utf-8", "surrogateescape")] = TreeEntry(mode, sha)
    return entries


def parse_sizes(output: bytes) -> dict[str, int]:
    """The output of `git cat-file --batch-check='%(objectname) %(objectsize)'`: bytes by object name.

    An object that is missing is left out.
    """
    pairs = (line.split(" ") for line in output.decode("ascii").splitlines())
    return {sha: int(size) for sha, size in pairs if size != "missing"}


def parse_batch(output: bytes) -> dict[str, bytes]:
    """The output of `git cat-file --batch`: contents by object name; an object that is missing is left out."""
    contents = {}
    at = 0
    while at < len(output):
        end = output.index(b"\n", at)
        name, *facts = output[at:end].decode("ascii").split(" ")
        start = end + 1
        if facts == ["missing"]:
            at = start
            continue
        size = facts[1]
        contents[name] = output[start : start + int(size)]
        at = start + int(size) + 1
    return contents


def parse_touched(listing: str) -> frozenset[str]:
    """The files, before and after, in the output of `git diff-tree -r --no-renames --full-index`; names of objects."""
    found = set()
    for line in listing.split("\n"):
        if line.startswith(":"):
            old_mode, new_mode, old_sha, new_sha, _ = line[1:].split(None, 4)
            found |= {sha for mode, sha in ((old_mode, old_sha), (new_mode, new_sha)) if mode not in _NO_FILE}
    return frozenset(found)


def parse_delta(output: bytes) -> Delta:
    """The output of `git diff-tree -r --raw --numstat -p -z`: three parts, each told by how it begins."""
    changes, rest = _parse_raw(output)
    lines, rest = _parse_numstat(rest)
    return Delta(tuple(changes), lines, rest.removeprefix(b"\0"))


def _parse_raw(output: bytes) -> tuple[list[RawChange], bytes]:
    changes = []
    at = 0
    while output.startswith(b":", at):
        meta, at = _field(output, at)
        old_mode, new_mode, old_sha, new_sha, status = meta[1:].decode("ascii").split(" ")
        old_path = None
        if status[0] in "RC":
            old_path, at = _field(output, at)
        path, at = _field(output, at)
        changes.append(RawChange(status[0], old_mode, new_mode, old_sha, new_sha, path, old_path))
    return changes, output[at:]


def _parse_numstat(output: bytes) -> tuple[dict[bytes, tuple[int, int] | None], bytes]:
    lines: dict[bytes, tuple[int, int] | None] = {}
    at = 0
    while output[at : at + 1].isdigit() or output.startswith(b"-\t", at):
        record, at = _field(output, at)
        added, removed, path = record.split(b"\t", 2)
        if not path:
            _, at = _field(output, at)
            path, at = _field(output, at)
        lines[path] = None if added == b"-" else (int(added), int(removed))
    return lines, output[at:]


def _field(data: bytes, start: int) -> tuple[bytes, int]:
    end = data.index(b"\0", start)
    return data[start:end], end + 1


def file_changes(delta: Delta, sizes: Mapping[str, int]) -> Iterator[FileChange]:
    """The changes as the contract's values.

    Args:
        sizes: bytes of each new object, by object name.

    Raises:
        StepFailedError: code `path_not_utf8`.
    """
    for change in delta.changes:
        counted = delta.lines.get(change.path, (0, 0))
        added, removed = counted or (0, 0)
        yield FileChange(
            path=_text(change.path),
            op=_OPS[change.status],
            old_path=None if change.old_path is None else _text(change.old_path),
            old_mode=None if change.old_mode == _NOTHING else change.old_mode,
            new_mode=None if change.removed else change.new_mode,
            added_lines=added,
            removed_lines=removed,
            binary=counted is None,
            new_size=None if change.removed else sizes.get(change.new_sha),
        )


def _text(path: bytes) -> str:
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StepFailedError(
            f"The change touches {path!r}, whose name is not valid UTF-8. "
            "Such a path cannot be recorded exactly: rename it.",
            code="path_not_utf8",
        ) from error
