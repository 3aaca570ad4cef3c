"""Which part of a commit a job's work tree holds. Pure."""

from bisect import bisect_left
from collections.abc import Collection, Iterable

from aicd_core.errors import InvalidInputError
from aicd_core.repo_config.parse import FILE_NAME


class Sparse:
    """The part of a commit that some folders of it are, as git's cone mode has it.

    https://git-scm.com/docs/git-sparse-checkout#_internalscone_mode_handling

    Args:
        folders: as `checkout.sparse` names them; none of them stands for the whole commit.
        paths: every path of the commit.

    Raises:
        InvalidInputError: code `invalid_config`: the commit has no such folder.
    """

    def __init__(self, folders: Iterable[str], paths: Collection[str]) -> None:
        self._whole = frozenset(folder.rstrip("/") for folder in folders)
        self._direct = {above for folder in self._whole for above in _folders_above(folder)}
        self._known: dict[str, bool] = {}
        self._left_out = sorted(path for path in paths if not self.holds(path)) if self._whole else []
        for folder in sorted(self._whole):
            if not any(path.startswith(f"{folder}/") for path in paths):
                raise InvalidInputError(
                    f"{FILE_NAME}, key checkout.sparse: the commit has no folder {folder!r}. Correct its name, or take "
                    "it out.",
                    code="invalid_config",
                )

    def holds(self, path: str) -> bool:
        """Whether a file of this path is laid out, or would be."""
        if not self._whole:
            return True
        folder = path.rpartition("/")[0]
        if folder not in self._known:
            self._known[folder] = folder in self._direct or not self._whole.isdisjoint(
                (folder, *_folders_above(folder))
            )
        return self._known[folder]

    def in_the_way(self, path: str) -> str | None:
        """A path that is not laid out, and that a file at `path` would change, replace or stand beside; None when none.

        Beside: in a folder of the commit that is not laid out, where nobody can see what else there is.
        """
        if below := self._first_left_out(path):
            return below
        if self.holds(path):
            return None
        top = next(part for part in (*reversed(_folders_above(path)), path) if part not in self._direct)
        return self._first_left_out(top)

    def _first_left_out(self, path: str) -> str | None:
        """The first path left out that is this one, or below it."""
        for wanted in (path, f"{path}/"):
            at = bisect_left(self._left_out, wanted)
            found = self._left_out[at] if at < len(self._left_out) else None
            if found is not None and (found == path or found.startswith(f"{path}/")):
                return found
        return None


def _folders_above(path: str) -> list[str]:
    """The folders that a path is in, the nearest first, down to the root, which is empty."""
    above = []
    while path:
        path = path.rpartition("/")[0]
        above.append(path)
    return above
