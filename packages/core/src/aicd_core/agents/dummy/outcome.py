"""What a diff makes of a tree that is only known in part: where two diffs speak of it.

Two diffs of the same change need not look the same: tools choose other hunks, slide an added block along equal
lines, tell a rename as a deletion and a creation. So both are applied to a model of the base tree whose
lines are numbers until one of the diffs tells their text, and the results are compared.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from aicd_core.patches import FilePatch, Hunk, PatchKind

Token = int | str
"""A line of a modelled file: its text with line end, or its 1-based number in the base file, or `REST`."""

REST: Final = 0
"""Stands for whatever follows the last line that any diff speaks of."""

_MEASURED_CONTEXT: Final = 3
"""Context lines of a measured change, git's default: a last hunk with fewer of them tells the file's end."""

_LONGEST_MODEL: Final = 2_000_000
_REGULAR: Final = "100644"
_MOVES: Final = (PatchKind.RENAME, PatchKind.COPY)


class UnplaceableError(Exception):
    """A hunk that lies outside of the modelled file: its line numbers are not the base's."""


@dataclass(slots=True)
class BaseTree:
    """What a set of diffs tells of the tree that they start from."""

    lengths: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    known: defaultdict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    complete: dict[str, int] = field(default_factory=dict)
    existing: set[str] = field(default_factory=set)
    modes: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, measured: Sequence[FilePatch], candidate: Sequence[FilePatch]) -> "BaseTree":
        """Lengths that both fit in; texts and modes from both, the measured one's where they disagree."""
        base = cls()
        for file in (*measured, *candidate):
            if file.old_mode is not None:
                base.modes.setdefault(file.old_path or file.path, file.old_mode)
        base._read(measured, context=_MEASURED_CONTEXT)
        base._read(candidate, context=0)
        return base

    def _read(self, files: Sequence[FilePatch], *, context: int) -> None:
        """Notes lengths and lines of one diff; in a series only a path's first change speaks of the base."""
        stems: dict[str, str] = {}
        for file in files:
            later = file.path in stems and file.old_path is None
            source = file.old_path or stems.get(file.path, file.path)
            stems[file.path] = source
            self._make_room(source, file)
            if not later and file.kind is not PatchKind.CREATE:
                self.existing.add(source)
                self._learn(source, file, context)

    def _make_room(self, source: str, file: FilePatch) -> None:
        """A hunk of a later diff in a series counts lines that earlier ones moved up: hence the sum."""
        end = max((hunk.old_start + hunk.old_count for hunk in file.hunks), default=0)
        self.lengths[source] = max(self.lengths[source], end) + file.removed_count
        if self.lengths[source] > _LONGEST_MODEL:
            raise UnplaceableError

    def _learn(self, source: str, file: FilePatch, context: int) -> None:
        for hunk in file.hunks:
            for number, line in enumerate(hunk.old_lines(), start=hunk.old_start):
                self.known[source].setdefault(number, line)
        if file.kind is PatchKind.DELETE and not file.binary:
            self.complete[source] = sum(hunk.old_count for hunk in file.hunks)
        elif file.hunks and _trailing_context(file.hunks[-1]) < context:
            last = file.hunks[-1]
            self.complete.setdefault(source, last.old_start + last.old_count - bool(last.old_count))

    def file(self, path: str) -> "ModelFile":
        lines: list[Token] = [*range(1, self.lengths[path] + 1), REST]
        return ModelFile(path, lines, self.modes.get(path))

    def resolve(self, file: "ModelFile") -> list[Token]:
        """The file's lines, with texts in place of numbers wherever they are known."""
        if file.source is None:
            return file.tokens
        known, last = self.known[file.source], self.complete.get(file.source)
        lines = [known.get(token, token) if isinstance(token, int) else token for token in file.tokens]
        if last is None:
            return lines
        return [line for line in lines if isinstance(line, str) or REST < line <= last]


def _trailing_context(hunk: Hunk) -> int:
    lines = [line for line in hunk.lines if line[0] != "\\"]
    return next((count for count, line in enumerate(reversed(lines)) if line[0] != " "), len(lines))


@dataclass(slots=True)
class ModelFile:
    """One file after some diffs: the base file it stems from (None: created), its lines, its mode if known."""

    source: str | None
    tokens: list[Token]
    mode: str | None
    binary: bool = False


def apply_all(base: BaseTree, files: Iterable[FilePatch]) -> dict[str, ModelFile | None]:
    """The files that a diff touches as they are afterwards; None stands for a file that is gone.

    As in git, a rename or copy reads its source from the base, any other change what came before it.

    Raises:
        UnplaceableError: a hunk lies outside of its file as modelled.
    """
    laid: dict[str, ModelFile] = {}
    gone: set[str] = set()
    for file in files:
        if file.kind is PatchKind.DELETE:
            laid.pop(file.path, None)
            gone.add(file.path)
            continue
        laid[file.path] = _applied(base, laid, file)
        if file.kind is PatchKind.RENAME and file.old_path is not None:
            gone.add(file.old_path)
    return {path: laid.get(path) for path in gone | laid.keys()}


def _applied(base: BaseTree, laid: dict[str, ModelFile], file: FilePatch) -> ModelFile:
    if file.kind is PatchKind.CREATE:
        before = ModelFile(None, [], _REGULAR)
    elif file.kind in _MOVES:
        before = base.file(file.old_path or file.path)
    else:
        before = laid.get(file.path) or base.file(file.path)
    told = file.kind is PatchKind.CREATE or file.mode_changed
    mode = (file.new_mode or before.mode) if told else before.mode
    return ModelFile(before.source, apply_hunks(before.tokens, file.hunks), mode, file.binary)


def apply_hunks(tokens: list[Token], hunks: Iterable[Hunk]) -> list[Token]:
    """A file's lines after the hunks; context lines keep what they were."""
    result: list[Token] = []
    position = 0
    length = len(tokens) - (tokens[-1:] == [REST])
    for hunk in hunks:
        begin = hunk.old_start - 1 if hunk.old_count else hunk.old_start
        if begin < position or begin + hunk.old_count > length:
            raise UnplaceableError
        result += tokens[position:begin]
        position = begin
        for index, line in enumerate(hunk.lines):
            if line[0] == " ":
                result.append(tokens[position])
            elif line[0] == "+":
                bare = hunk.lines[index + 1 : index + 2] and hunk.lines[index + 1][0] == "\\"
                result.append(line[1:] if bare else f"{line[1:]}\n")
            position += line[0] in " -"
    result += tokens[position:]
    return result
