"""Which of the things in a work tree belong to its change. Pure but for the question what is ignored."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence

from aicd_core.errors import StepFailedError
from aicd_github.git.delta import GITLINK, TreeEntry
from aicd_github.tree.survey import Found, Oddity


def strangers(found: Iterable[Found], entries: Mapping[str, TreeEntry]) -> list[str]:
    """What the base does not have, as paths to ask about: of an odd folder, one that is in it."""
    return [_asked(one) for one in found if one.path not in entries]


def choose(
    found: Sequence[Found], entries: Mapping[str, TreeEntry], ignored: Collection[str], planned: Collection[str]
) -> list[Found]:
    """The files that the changed tree consists of: those of the base that are still there, and new ones.

    Args:
        ignored: those of `strangers` that the repository ignores; they stay out unless they are planned.

    Raises:
        StepFailedError: `nested_repository`, `uncommittable_tree`: one of them cannot be stored.
    """
    wanted = frozenset(planned)
    tracked = sorted(entries)
    chosen = []
    for one in found:
        if one.path not in entries and one.path not in wanted:
            # An odd folder is not entered: were it ignored, the base's files in it would be taken for deleted.
            lost = one.oddity is not None and _any_below(one.path, tracked)
            if one.oddity is Oddity.SPECIAL or (_asked(one) in ignored and not lost):
                continue
        if one.oddity is not None:
            raise _refusal(one.path, one.oddity)
        chosen.append(one)
    return chosen


def gone(chosen: Iterable[Found], entries: Mapping[str, TreeEntry]) -> list[str]:
    """Paths of the base that are no longer there. A submodule stays whatever happened to its folder."""
    there = {one.path for one in chosen}
    return [path for path, entry in entries.items() if path not in there and entry.mode != GITLINK]


def _asked(found: Found) -> str:
    return f"{found.path}/.git" if found.oddity not in (None, Oddity.SPECIAL) else found.path


def _any_below(folder: str, tracked: Sequence[str]) -> bool:
    at = bisect_left(tracked, f"{folder}/")
    return at < len(tracked) and tracked[at].startswith(f"{folder}/")


def _refusal(path: str, oddity: Oddity) -> StepFailedError:
    if oddity is Oddity.NESTED:
        return nested(path)
    return StepFailedError(
        f"The changed tree could not be recorded: {path!r} {oddity.value}. Remove or repair it.",
        code="uncommittable_tree",
    )


def nested(path: str) -> StepFailedError:
    """The error for a repository inside of the tree."""
    return StepFailedError(
        f"{path!r} is a repository of its own inside the tree; its files would be lost. "
        "Remove its .git folder, or let .gitignore name it.",
        code="nested_repository",
    )
