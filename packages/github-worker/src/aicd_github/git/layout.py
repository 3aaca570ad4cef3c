"""The folder layout of a bare repository, made and mended without running git.

The layout is git's documented one: https://git-scm.com/docs/gitrepository-layout
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

ObjectFormat = Literal["sha1", "sha256"]

_CONFIG = {
    "sha1": "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n",
    "sha256": (
        "[core]\n\trepositoryformatversion = 1\n\tfilemode = true\n\tbare = true\n"
        "[extensions]\n\tobjectformat = sha256\n"
    ),
}
# A branch that never exists: no fetch is ever refused because it is "checked out".
_HEAD = "ref: refs/heads/aicd/none\n"
_PRIVATE = 0o700
# What git would obey beside the configuration: none of it is ever ours.
_FOREIGN = ("config.worktree", "commondir", "hooks", "info/grafts", "objects/info/http-alternates")

EXACT_BYTES = "* -text !eol -filter -ident !working-tree-encoding !diff !merge\n"
"""`info/attributes` that outranks every `.gitattributes` of the tree: files are laid out and captured byte
for byte as the repository stores them, no filter runs, and no attribute hides a file from the diff."""


def object_format(sha: str) -> ObjectFormat:
    """The hash function that an object name of this length comes from."""
    return "sha256" if len(sha) == 64 else "sha1"


def make_bare(place: Path, form: ObjectFormat, *, alternate: Path | None = None) -> None:
    """Makes a bare repository that only this user may enter; `place` then exists whole or not at all.

    Args:
        alternate: objects folder of another repository to borrow from, relative to `place`'s own.

    Raises:
        OSError: the disk refused.
    """
    half = place.with_name(f"{place.name}.new")
    remove_tree(half)
    for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info"):
        (half / folder).mkdir(parents=True, exist_ok=True)
    half.chmod(_PRIVATE)
    (half / "HEAD").write_text(_HEAD)
    (half / "config").write_text(_CONFIG[form])
    (half / "info" / "attributes").write_text(EXACT_BYTES)
    if alternate is not None:
        (half / "objects" / "info" / "alternates").write_text(f"{alternate}\n")
    half.rename(place)


def is_whole(place: Path, form: ObjectFormat, *, alternate: Path | None = None) -> bool:
    """True when `place` is a bare repository as `make_bare` makes them: no other configuration, no other objects."""
    try:
        return (
            (place / "config").read_text() == _CONFIG[form]
            and (place / "HEAD").read_text() == _HEAD
            and (place / "info" / "attributes").read_text() == EXACT_BYTES
            and (place / "objects" / "pack").is_dir()
            and (place / "refs" / "heads").is_dir()
            and _borrows_from(place) == ("" if alternate is None else f"{alternate}\n")
            and not any((place / foreign).exists() for foreign in _FOREIGN)
        )
    except (OSError, UnicodeDecodeError):
        return False


def _borrows_from(place: Path) -> str:
    alternates = place / "objects" / "info" / "alternates"
    return alternates.read_text() if alternates.exists() else ""


def is_partial(repository: Path) -> bool:
    """Whether this is a repository that had parts left out when it was fetched."""
    return any((repository / "objects" / "pack").glob("*.promisor"))


PARTIAL_CLONE = (
    "It is a partial clone, and not all of it is on this machine. Name the repository that it was cloned from, or have "
    "the rest of it fetched: git fetch --refetch --no-filter"
)
"""What to do about a local repository that `is_partial`, when something of it is missing."""


def remove_tree(place: Path) -> None:
    """Removes a folder of our own making, if there is one.

    Raises:
        OSError: the disk refused.
    """
    if place.exists():
        shutil.rmtree(place)


def remove_leftovers(repository: Path) -> None:
    """Removes what a killed git leaves in a bare repository: lock files and half-written objects.

    Only for the one who holds the repository's lock, which a running git would hold too.

    Raises:
        OSError: the disk refused.
    """
    for path in _leftovers(repository):
        path.unlink(missing_ok=True)


def _leftovers(repository: Path) -> Iterator[Path]:
    yield from repository.glob("*.lock")
    yield from repository.glob("packed-refs.new")
    yield from (repository / "objects" / "pack").glob("tmp_*")
    yield from (repository / "objects" / "pack").glob(".tmp-*")
    yield from (repository / "objects" / "pack").glob("*.keep")
    yield from (repository / "objects" / "info").glob("*.lock")
    for folder, _, names in os.walk(repository / "refs"):
        yield from (Path(folder, name) for name in names if name.endswith(".lock"))


def loose_object_estimate(repository: Path) -> int:
    """About how many loose objects there are, from one of the 256 folders, as git's own gc does."""
    try:
        return sum(256 for _ in (repository / "objects" / "17").iterdir())
    except FileNotFoundError:
        return 0


def pack_count(repository: Path) -> int:
    """How many packs there are."""
    return sum(1 for _ in (repository / "objects" / "pack").glob("*.pack"))
