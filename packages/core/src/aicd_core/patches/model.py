"""The values that a diff is read into."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from aicd_core.errors import InvalidInputError


class PatchError(InvalidInputError):
    """A diff that cannot be read. `line` is the 1-based line of the diff's text where reading stopped."""

    default_code = "malformed_patch"

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(f"The diff cannot be read at its line {line}: {problem}.")
        self.problem = problem
        self.line = line


class PatchKind(StrEnum):
    """What a diff does to a path."""

    CREATE = "create"
    MODIFY = "modify"
    DELETE = "delete"
    RENAME = "rename"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class AddedLine:
    """A line that a diff adds; `line` is its 1-based number in the new file, `text` has no line end."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Hunk:
    r"""One `@@` section.

    `lines` are the diff's own lines, each with its mark as first character: ` `, `+`, `-`, or `\` for
    "no newline at end of file", which speaks of the line before it. Starts are 1-based; 0 with a count of 0.
    """

    old_start: int
    old_count: int
    new_start: int
    new_count: int
    lines: tuple[str, ...]

    def old_lines(self) -> list[str]:
        """The lines that must be there before, each with its line end."""
        return self._side("-")

    def new_lines(self) -> list[str]:
        """The lines that are there afterwards, each with its line end."""
        return self._side("+")

    def _side(self, mark: str) -> list[str]:
        side: list[str] = []
        kept = False
        for line in self.lines:
            if line[0] == "\\":
                if kept:
                    side[-1] = side[-1].removesuffix("\n")
                continue
            kept = line[0] in (" ", mark)
            if kept:
                side.append(line[1:] + "\n")
        return side


@dataclass(frozen=True, slots=True)
class FilePatch:
    """What a diff does to one path.

    `old_path` is the source of a rename or a copy, else None. Modes are git's octal strings; a mode that the
    diff does not tell is None. `binary` marks a change whose content is not given as lines.
    """

    path: str
    kind: PatchKind
    old_path: str | None = None
    old_mode: str | None = None
    new_mode: str | None = None
    binary: bool = False
    hunks: tuple[Hunk, ...] = ()

    @property
    def mode_changed(self) -> bool:
        """True when the diff turns an existing file's mode into another one."""
        return None not in (self.old_mode, self.new_mode) and self.old_mode != self.new_mode

    @property
    def added_count(self) -> int:
        return sum(line[0] == "+" for hunk in self.hunks for line in hunk.lines)

    @property
    def removed_count(self) -> int:
        return sum(line[0] == "-" for hunk in self.hunks for line in hunk.lines)

    def added_lines(self) -> Iterator[AddedLine]:
        """Every added line with its number in the new file, in order."""
        for hunk in self.hunks:
            number = hunk.new_start
            for line in hunk.lines:
                if line[0] == "+":
                    yield AddedLine(self.path, number, line[1:])
                if line[0] in "+ ":
                    number += 1
