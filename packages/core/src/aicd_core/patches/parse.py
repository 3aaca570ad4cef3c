"""Unified diffs, git's and plain ones, into values. The format is git's, see `git help diff-format`."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from aicd_core.patches.model import FilePatch, Hunk, PatchError, PatchKind
from aicd_core.patches.names import header_names, plain_name, side_name, stripped, votes_for_no_prefix

HUNK_HEADER: Final = re.compile(r"@@ -([0-9]{1,9})(?:,([0-9]{1,9}))? \+([0-9]{1,9})(?:,([0-9]{1,9}))? @@")
_GIT_HEADER: Final = "diff --git "
_INDEX: Final = re.compile(r"[0-9a-f]{4,64}\.\.[0-9a-f]{4,64}(?: ([0-7]{6}))?")
_MODE: Final = re.compile(r"[0-7]{6}")
_SIGNATURES: Final = ("--", "-- ")


@dataclass(slots=True)
class _Section:
    """One file's part of a diff, names still as written."""

    line: int
    header: str | None = None
    kind: PatchKind = PatchKind.MODIFY
    names: tuple[str | None, str | None] | None = None
    moved: tuple[str, str] = ("", "")
    old_mode: str | None = None
    new_mode: str | None = None
    told: bool = False
    binary: bool = False
    hunks: list[Hunk] = field(default_factory=list)


def parse_patch(text: str, *, strip: int | None = None) -> tuple[FilePatch, ...]:
    """Every file's change in a diff, in order; text around the changes (a mail's, a commit's) is skipped.

    Lines end at a line feed and nowhere else. Hunks are read by the counts in their headers, so that no
    content is ever taken for a header.

    Args:
        text: the diff.
        strip: 1 if names carry a leading folder such as `a/` and `b/`, 0 if not; None finds out.

    Raises:
        PatchError: the text is cut, a hunk's lines and its header disagree, or a name cannot be told.
    """
    return parse_with_strip(text, strip=strip)[1]


def parse_with_strip(text: str, *, strip: int | None = None) -> tuple[int, tuple[FilePatch, ...]]:
    """As `parse_patch`, with the `strip` that was found out or given: `git apply -p` needs it too."""
    sections = _sections(text)
    level = _strip_level(sections) if strip is None else strip
    return level, tuple(_file_patch(section, level) for section in sections)


def _strip_level(sections: list[_Section]) -> int:
    votes = [_votes_for_no_prefix(section) for section in sections]
    return 0 if votes and all(votes) else 1


def _votes_for_no_prefix(section: _Section) -> bool:
    if section.kind in (PatchKind.RENAME, PatchKind.COPY):
        return section.header == f"{section.moved[0]} {section.moved[1]}"
    if section.header is not None:
        both = header_names(section.header, section.line)
        if both is not None:
            return votes_for_no_prefix(*both)
    return section.names is not None and votes_for_no_prefix(*section.names)


def _file_patch(section: _Section, level: int) -> FilePatch:
    old, new = _paths(section, level)
    moved = section.kind in (PatchKind.RENAME, PatchKind.COPY)
    path = old if section.kind is PatchKind.DELETE else new
    if not path or (moved and not old):
        raise PatchError("the file's name cannot be told from the headers", section.line)
    return FilePatch(
        path=path,
        kind=section.kind,
        old_path=old if moved else None,
        old_mode=section.old_mode,
        new_mode=section.new_mode,
        binary=section.binary,
        hunks=tuple(section.hunks),
    )


def _paths(section: _Section, level: int) -> tuple[str | None, str | None]:
    if section.kind in (PatchKind.RENAME, PatchKind.COPY):
        return plain_name(section.moved[0], section.line), plain_name(section.moved[1], section.line)
    both = section.names
    if both is None and section.header is not None:
        both = header_names(section.header, section.line)
    old, new = (None if name is None else stripped(name, level, section.line) for name in both or (None, None))
    if section.kind is PatchKind.MODIFY and section.header is None and old and new and new.startswith(old):
        return old, old
    return old, new


def _sections(text: str) -> list[_Section]:
    reader = _Reader(text)
    sections = []
    while not reader.at_end:
        section = reader.section()
        if section is not None:
            sections.append(section)
    return sections


class _Reader:
    """Walks over a diff's lines."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        if not self._lines[-1]:
            self._lines.pop()
        self._at = 0
        self._extended: dict[str, Callable[[_Section, str], None]] = {
            "old mode ": self._old_mode,
            "new mode ": self._new_mode,
            "new file mode ": self._new_file,
            "deleted file mode ": self._deleted_file,
            "rename from ": self._rename_from,
            "rename to ": self._moved_to,
            "copy from ": self._copy_from,
            "copy to ": self._moved_to,
            "index ": self._index,
            "similarity index ": self._ignored,
            "dissimilarity index ": self._ignored,
        }

    @property
    def at_end(self) -> bool:
        return self._at >= len(self._lines)

    @property
    def number(self) -> int:
        return self._at + 1

    def peek(self, ahead: int = 0) -> str | None:
        at = self._at + ahead
        return self._lines[at] if at < len(self._lines) else None

    def section(self) -> _Section | None:
        """The section that begins at this line, or None when the line begins none."""
        line = self._lines[self._at]
        if line.startswith(_GIT_HEADER):
            return self._git_section(line.removeprefix(_GIT_HEADER))
        if self._at_side_lines() and HUNK_HEADER.match(self.peek(2) or ""):
            section = _Section(self.number)
            self._side_names(section)
            self._content(section)
            return section
        if HUNK_HEADER.match(line):
            raise PatchError("a hunk comes without the name of its file (no --- and +++ lines)", self.number)
        self._at += 1
        return None

    def _at_side_lines(self) -> bool:
        return (self.peek() or "").startswith("--- ") and (self.peek(1) or "").startswith("+++ ")

    def _git_section(self, header: str) -> _Section | None:
        section = _Section(self.number, header)
        self._at += 1
        while (line := self.peek()) is not None and self._extended_header(section, line):
            self._at += 1
        if self._at_side_lines():
            self._side_names(section)
        self._content(section)
        if section.told or section.hunks or section.binary:
            return section
        if self._at == section.line:
            return None
        raise PatchError("the diff names a file but holds no change of it", section.line)

    def _extended_header(self, section: _Section, line: str) -> bool:
        for start, handle in self._extended.items():
            if line.startswith(start):
                handle(section, line.removeprefix(start))
                return True
        return False

    def _old_mode(self, section: _Section, value: str) -> None:
        section.old_mode = self._mode(value)

    def _new_mode(self, section: _Section, value: str) -> None:
        section.new_mode, section.told = self._mode(value), True

    def _new_file(self, section: _Section, value: str) -> None:
        section.kind, section.new_mode, section.told = PatchKind.CREATE, self._mode(value), True

    def _deleted_file(self, section: _Section, value: str) -> None:
        section.kind, section.old_mode, section.told = PatchKind.DELETE, self._mode(value), True

    def _rename_from(self, section: _Section, value: str) -> None:
        section.kind, section.moved, section.told = PatchKind.RENAME, (value, section.moved[1]), True

    def _copy_from(self, section: _Section, value: str) -> None:
        section.kind, section.moved, section.told = PatchKind.COPY, (value, section.moved[1]), True

    def _moved_to(self, section: _Section, value: str) -> None:
        section.moved = (section.moved[0], value)

    def _index(self, section: _Section, value: str) -> None:
        match = _INDEX.fullmatch(value.strip())
        if match is not None and match[1] is not None:
            section.old_mode = section.new_mode = match[1]

    def _ignored(self, section: _Section, value: str) -> None:
        """Similarity says nothing that is needed."""

    def _mode(self, value: str) -> str:
        if not _MODE.fullmatch(value.strip()):
            raise PatchError(f"{value!r} is not a file mode", self.number)
        return value.strip()

    def _side_names(self, section: _Section) -> None:
        """Reads the `---` and `+++` lines; /dev/null on one side makes a creation or a deletion."""
        old = side_name((self.peek() or "")[4:], self.number)
        new = side_name((self.peek(1) or "")[4:], self.number + 1)
        if old is None and new is None:
            raise PatchError("both sides of the change are /dev/null", self.number)
        section.names = (old, new)
        if old is None:
            section.kind = PatchKind.CREATE
        elif new is None:
            section.kind = PatchKind.DELETE
        self._at += 2

    def _content(self, section: _Section) -> None:
        line = self.peek() or ""
        if line == "GIT binary patch":
            section.binary = True
            self._skip_binary()
        elif section.header is not None and line.startswith("Binary files ") and line.endswith(" differ"):
            section.binary = True
            self._at += 1
        while match := HUNK_HEADER.match(self.peek() or ""):
            section.hunks.append(self._hunk(match))

    def _skip_binary(self) -> None:
        self._at += 1
        while (self.peek() or "").startswith(("literal ", "delta ")):
            while self.peek():
                self._at += 1
            self._at += 1

    def _hunk(self, match: re.Match[str]) -> Hunk:
        begin = self.number
        old_count, new_count = (1 if count is None else int(count) for count in (match[2], match[4]))
        old_left, new_left = old_count, new_count
        body: list[str] = []
        self._at += 1
        for at in range(self._at, len(self._lines)):
            line = self._lines[at]
            mark = line[:1] or " "
            if not (old_left or new_left or line.startswith("\\ ")):
                break
            if mark in " -":
                old_left -= 1
            if mark in " +":
                new_left -= 1
            if mark not in " +-\\" or old_left < 0 or new_left < 0:
                raise PatchError(_miscount(begin, mark), begin + len(body) + 1)
            body.append(line or " ")  # editors strip the blank of an empty context line; git takes that too
        self._at += len(body)
        if old_left or new_left:
            raise PatchError(f"the text ends inside the hunk of line {begin}", self.number)
        self._refuse_surplus(begin)
        return Hunk(int(match[1]), old_count, int(match[3]), new_count, tuple(body))

    def _refuse_surplus(self, begin: int) -> None:
        """Lines beyond the header's counts would be dropped in silence: half a change."""
        line = self.peek()
        if not line or line[0] not in " +-" or line in _SIGNATURES or self._at_side_lines():
            return
        raise PatchError(f"the hunk of line {begin} has more lines than its header counts", self.number)


def _miscount(begin: int, mark: str) -> str:
    if mark in " +-":
        return f"the hunk of line {begin} does not hold what its header counts"
    return f"the hunk of line {begin} has fewer lines than its header counts"
