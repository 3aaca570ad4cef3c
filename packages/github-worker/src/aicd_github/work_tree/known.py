"""What is known of a work tree's files, so that only those that changed are read or written again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aicd_github.git.delta import TreeEntry
from aicd_github.tree.survey import Found, Stamp
from aicd_github.tree.taking import Taken


class KnownFiles:
    """The object that each file of the tree holds, as long as its stamp is what it was."""

    def __init__(self) -> None:
        self._files: dict[str, _Known] = {}

    def sha_of(self, found: Found) -> str | None:
        """The object name of a file's content; None when the file has to be read."""
        known = self._files.get(found.path)
        return known.sha if known is not None and known.stamp == found.stamp else None

    def holds(self, found: Found, entry: TreeEntry) -> bool:
        """Whether the file is that entry of a tree, in content and mode."""
        return self.sha_of(found) == entry.sha and found.stamp.git_mode() == entry.mode

    def holding(self, entries: Mapping[str, TreeEntry]) -> frozenset[str]:
        """Those of the entries that the tree held when it was last looked at."""
        return frozenset(
            path for path, entry in entries.items() if path in self._files and self._files[path].sha == entry.sha
        )

    def learn(self, taken: Iterable[Taken]) -> None:
        """Notes what was read, where the stamp tells it from what could be written next."""
        for file in taken:
            if file.settled:
                self._files[file.path] = _Known(file.stamp, file.sha)
            else:
                self._files.pop(file.path, None)

    def laid(self, stamps: Mapping[str, Stamp], entries: Mapping[str, TreeEntry]) -> None:
        """Notes what was written."""
        for path, stamp in stamps.items():
            self._files[path] = _Known(stamp, entries[path].sha)


@dataclass(frozen=True)
class _Known:
    stamp: Stamp
    sha: str
