"""Whether a measured change is exactly what a diff says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final

from aicd_core.agents.dummy.outcome import BaseTree, ModelFile, Token, UnplaceableError, apply_all
from aicd_core.patches import FilePatch, PatchKind

_SHOWN: Final = 120


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One path where the tree is not what the diff says; `kind` is a stable name for the way it differs."""

    path: str
    kind: str
    message: str


def mismatches(candidate: Sequence[FilePatch], measured: Sequence[FilePatch]) -> list[Mismatch]:
    """Every path where a measured change differs from the diff that should have made it, in path order."""
    try:
        comparison = _Comparison(candidate, measured, modelled=True)
    except UnplaceableError:
        comparison = _Comparison(candidate, measured, modelled=False)
    found = (comparison.mismatch(path) for path in comparison.paths())
    return [mismatch for mismatch in found if mismatch is not None]


class _Comparison:
    """Two diffs over one base. Not `modelled`: edits are compared as the diffs list them, line number and all."""

    def __init__(self, candidate: Sequence[FilePatch], measured: Sequence[FilePatch], *, modelled: bool) -> None:
        self._candidate, self._measured, self._modelled = candidate, measured, modelled
        if not modelled:
            candidate = [replace(file, hunks=()) for file in candidate]
            measured = [replace(file, hunks=()) for file in measured]
        self._base = BaseTree.of(measured, candidate)
        self._wanted = apply_all(self._base, candidate)
        self._found = apply_all(self._base, measured)

    def paths(self) -> list[str]:
        return sorted(self._wanted.keys() | self._found.keys())

    def mismatch(self, path: str) -> Mismatch | None:
        untouched = self._base.file(path) if path in self._base.existing else None
        wanted, found = self._wanted.get(path, untouched), self._found.get(path, untouched)
        if wanted is None and found is None:
            return None
        if wanted and found and self._same_content(path, wanted, found):
            return _mode(path, wanted, found)
        if path not in self._wanted:
            return Mismatch(path, "extra", f"{path!r} is changed, but the diff does not name it.")
        if path not in self._found:
            return Mismatch(path, "missing", f"{path!r} is not changed, but the diff changes it.")
        if wanted is None:
            return Mismatch(path, "not-deleted", f"{path!r} is still there, but the diff takes it away.")
        if found is None:
            return Mismatch(path, "deleted", f"{path!r} is gone, but the diff does not delete it.")
        return Mismatch(path, "content", f"{path!r} is not what the diff makes of it: {self._first(path)}.")

    def _same_content(self, path: str, wanted: ModelFile, found: ModelFile) -> bool:
        if found.binary:
            return False
        same_source = wanted.source == found.source
        if not self._modelled:
            return same_source and _edits(self._candidate, path) == _edits(self._measured, path)
        tokens = self._base.resolve(found)
        if self._base.resolve(wanted) == tokens and (same_source or _told_in_full(tokens)):
            return True
        return not same_source and self._copy_holds(path, tokens)

    def _copy_holds(self, path: str, tokens: list[Token]) -> bool:
        """A copied file is seldom told in full: what the diff does tell has to be in its place."""
        sources = {file.old_path for file in self._candidate if file.kind is PatchKind.COPY}
        copies = [file for file in self._candidate if file.path == path and file.old_path in sources - {None}]
        return bool(copies) and all(
            tokens[max(hunk.new_start - 1, 0) :][: hunk.new_count] == hunk.new_lines()
            for copy in copies
            for hunk in copy.hunks
        )

    def _first(self, path: str) -> str:
        pairs = zip_longest(_edits(self._candidate, path), _edits(self._measured, path))
        wanted, found = next((pair for pair in pairs if pair[0] != pair[1]), (None, None))
        return f"the diff says {_shown(wanted)} where the tree has {_shown(found)}"


def _mode(path: str, wanted: ModelFile, found: ModelFile) -> Mismatch | None:
    if None in (wanted.mode, found.mode) or wanted.mode == found.mode:
        return None
    return Mismatch(path, "mode", f"{path!r} has the mode {found.mode}, but the diff gives it {wanted.mode}.")


def _told_in_full(tokens: Sequence[Token]) -> bool:
    """Only texts can be compared between two files: line numbers and the rest mean other lines in each."""
    return all(isinstance(token, str) for token in tokens)


def _edits(files: Sequence[FilePatch], path: str) -> list[tuple[int, str]]:
    """The added and removed lines of a path in order, each with its mark, its line end and its old line's number."""
    edits: list[tuple[int, str]] = []
    for hunk in (hunk for file in files if file.path == path for hunk in file.hunks):
        number = hunk.old_start + (not hunk.old_count)
        follows_edit = False
        for line in hunk.lines:
            if line[0] == "\\" and follows_edit:
                edits[-1] = (edits[-1][0], edits[-1][1].removesuffix("\n"))
            follows_edit = line[0] in "+-"
            if follows_edit:
                edits.append((number, f"{line}\n"))
            number += line[0] in " -"
    return edits


def _shown(edit: tuple[int, str] | None) -> str:
    if edit is None:
        return "no further change"
    number, text = edit
    return f"{text if len(text) <= _SHOWN else f'{text[:_SHOWN]}…'!r} at line {number}"
