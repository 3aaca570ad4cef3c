"""What a change may never hold, whatever policy says: it would turn git itself against whoever checks it out. Pure."""

from collections.abc import Iterable, Mapping

from aicd_core.errors import StepFailedError
from aicd_github.git.delta import GITLINK, SYMLINK, RawChange, TreeEntry
from aicd_github.git.symlinks import leads_out
from aicd_github.tree.paths import is_git_folder, is_gitmodules
from aicd_github.work_tree.choosing import nested

_LONGEST_NAME = 255  # bytes; NAME_MAX and PATH_MAX of Linux
_LONGEST_PATH = 4096


def refuse_changes(changes: Iterable[RawChange]) -> None:
    """Refuses submodules, repositories, `.gitmodules`, and names that stand for git's own folder somewhere.

    Raises:
        StepFailedError: `submodule_changed`, `nested_repository`, `gitmodules_changed`, `uncommittable_tree`.
    """
    for change in changes:
        path = change.path.decode("utf-8", "surrogateescape")
        if change.old_mode == GITLINK:
            raise submodule_changed(path, "it was moved, removed or set to another commit")
        if change.new_mode == GITLINK:
            raise nested(path)
        if any(is_gitmodules(name) for name in (path, (change.old_path or b"").decode("utf-8", "surrogateescape"))):
            raise StepFailedError(
                f"The change touches {path!r}, which decides from where submodules are cloned. A job may not change "
                "that: leave it to a person.",
                code="gitmodules_changed",
            )
        if not change.removed and not _can_be_a_path(path, change.path):
            raise StepFailedError(
                f"The change holds {path[:200]!r}, a name that git or some file system takes for its own, or cannot "
                "have. Rename it.",
                code="uncommittable_tree",
            )


def _can_be_a_path(path: str, stored: bytes) -> bool:
    if len(stored) >= _LONGEST_PATH or any(len(part) > _LONGEST_NAME for part in stored.split(b"/")):
        return False
    return not any(part in ("", ".", "..") or is_git_folder(part) for part in path.split("/"))


def links_to_check(changes: Iterable[RawChange], entries: Mapping[str, TreeEntry]) -> dict[str, str]:
    """The object of every link that the changed tree has, by path; none when the change makes no link.

    Args:
        entries: every path of the base commit.
    """
    changed = [change for change in changes if change.new_mode == SYMLINK]
    if not changed:
        return {}
    links = {path: entry.sha for path, entry in entries.items() if entry.mode == SYMLINK}
    for change in changes:
        links.pop((change.old_path or change.path).decode("utf-8", "surrogateescape"), None)
    return links | {change.path.decode("utf-8", "surrogateescape"): change.new_sha for change in changed}


def refuse_links_out(changes: Iterable[RawChange], links: Mapping[str, str], targets: Mapping[str, bytes]) -> None:
    """Refuses new links that could end outside of the tree.

    Args:
        links: as `links_to_check` gives them.
        targets: what the links' objects say.

    Raises:
        StepFailedError: code `symlink_leads_out`.
    """
    texts = {path: targets[sha].decode("utf-8", "surrogateescape") for path, sha in links.items()}
    for change in changes:
        path = change.path.decode("utf-8", "surrogateescape")
        if change.new_mode == SYMLINK and leads_out(path, texts):
            raise StepFailedError(
                f"The symbolic link {path!r} leads out of the repository, to {texts[path]!r}. "
                "Make it relative and keep it inside.",
                code="symlink_leads_out",
            )


def submodule_changed(path: str, why: str) -> StepFailedError:
    """The error for a submodule that is not as the base has it."""
    return StepFailedError(
        f"The submodule {path!r} cannot be changed by a job: {why}. Leave its folder as it is.",
        code="submodule_changed",
    )
