"""Where each hunk of a diff belongs in a file whose content is known. Pure.

`git apply` looks for a hunk's lines around its header's line and takes the nearest match in silence; a hunk
without context it pins to the file's end. Here a hunk goes to its header's line or to the only other place
where its lines are found, and the diff's headers are restated so that git has nothing left to look for.
"""

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from aicd_core.agents.dummy.diagnosis import first_difference, lines_of
from aicd_core.patches import FilePatch, Hunk, PatchKind
from aicd_core.patches.parse import HUNK_HEADER

_MOST_PLACES: Final = 5
"""Candidate lines that a refusal names."""


class PlacingError(Exception):
    """A hunk that has no place, or several: the reason is the end of a sentence that begins with the diff's name."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A file's hunks at their places, what comes of it, and whether git needs to be told of missing context."""

    hunks: tuple[Hunk, ...]
    content: bytes
    zero_context: bool


def place_hunks(path: str, hunks: Sequence[Hunk], content: bytes) -> Placed:
    """The hunks with old starts that are their places in `content`, each verified line for line.

    Raises:
        PlacingError: a hunk's lines are not there, or they are at several places but not at the header's line.
    """
    text = _Text(content)
    placed: list[Hunk] = []
    spans: list[tuple[int, int]] = []
    result: list[bytes] = []
    exact, zero_context = True, False
    for number, hunk in enumerate(hunks, start=1):
        begin = _Search(path, number, hunk, text, spans).begin(exact=exact)
        start = text.line(begin) + 1 if hunk.old_count else text.line(begin)
        exact = exact and start == hunk.old_start
        zero_context = zero_context or not (_has_context(hunk) or (begin == 0 and text.at_end(begin, hunk)))
        result += [content[spans[-1][1] if spans else 0 : begin], _joined(hunk.new_lines())]
        spans.append((begin, begin + len(_joined(hunk.old_lines()))))
        placed.append(replace(hunk, old_start=start))
    result.append(content[spans[-1][1] if spans else 0 :])
    return Placed(tuple(placed), b"".join(result), zero_context)


def with_starts(files: Sequence[FilePatch], starts: dict[int, int]) -> tuple[FilePatch, ...]:
    """The diff with old starts replaced, by hunk (counted from 1 through the whole diff), and new starts to match."""
    number = 0
    restated = []
    for file in files:
        hunks, growth = [], 0
        for hunk in file.hunks:
            number += 1
            start = starts.get(number, hunk.old_start)
            before = start + growth - bool(hunk.old_count)
            new_start = max(before + bool(hunk.new_count), 0)
            hunks.append(replace(hunk, old_start=start, new_start=new_start))
            growth += hunk.new_count - hunk.old_count
        fixed = file.kind in (PatchKind.CREATE, PatchKind.DELETE)
        restated.append(file if fixed else replace(file, hunks=tuple(hunks)))
    return tuple(restated)


def with_headers(text: str, files: Sequence[FilePatch]) -> str:
    """The diff's text with the hunk headers of `files`, which it was read into before they were restated.

    Git looks for a hunk at its new start even when nothing is left there, where that is the line before: it may
    find the lines one too early, and an unterminated last line even at the beginning of another. So a hunk that
    leaves nothing gets the line after.
    """
    hunks = iter([hunk for file in files for hunk in file.hunks])
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        match = HUNK_HEADER.match(lines[at])
        hunk = next(hunks, None) if match else None
        if match and hunk:
            new_start = hunk.new_start + (not hunk.new_count)
            sides = f"-{hunk.old_start},{hunk.old_count} +{new_start},{hunk.new_count}"
            lines[at] = f"@@ {sides} @@{lines[at][match.end() :]}"
            at += len(hunk.lines)
        at += 1
    return "\n".join(lines)


class _Text:
    """A file's bytes, addressed by line; lines end at a line feed and nowhere else."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._starts = array("Q", [0])
        self._starts.extend(match.end() for match in re.finditer(b"\n", content))
        if self._starts[-1] != len(content):
            self._starts.append(len(content))

    def offset(self, line: int) -> int | None:
        """Where a line (from 0) begins; the line after the last one begins at the end."""
        return self._starts[line] if 0 <= line < len(self._starts) else None

    def line(self, offset: int) -> int:
        return bisect_right(self._starts, offset) - 1

    def at_end(self, begin: int, hunk: Hunk) -> bool:
        return begin + len(_joined(hunk.old_lines())) == len(self.content)


class _Search:
    """The places of one hunk beside those that earlier hunks (`spans`: their bytes) have taken."""

    def __init__(self, path: str, number: int, hunk: Hunk, text: _Text, spans: Sequence[tuple[int, int]]) -> None:
        self._name = f"hunk {number} of {path!r}"
        self._hunk, self._text, self._spans = hunk, text, spans
        self._old = _joined(hunk.old_lines())
        self._context = _has_context(hunk)
        self._to_end = _ends_file(hunk) or (self._context and _last_mark(hunk) != " ")
        self._from_start = self._context and hunk.old_start <= 1

    def begin(self, *, exact: bool) -> int:
        """The byte where the hunk belongs; not `exact`: an earlier hunk was moved, so line numbers prove nothing."""
        stated = self._text.offset(self._hunk.old_start - bool(self._hunk.old_count))
        holds = stated is not None and self._fits(stated)
        if stated is not None and holds and (exact or not self._context):
            return self._in_order(stated)
        places = list(islice(self._places(), _MOST_PLACES + 1)) if self._context else []
        if not places:
            raise PlacingError(f"{self._name} does not match: {self._difference()}")
        if len(places) > 1:
            raise PlacingError(self._ambiguous(places, holds=holds))
        return self._in_order(places[0])

    def _fits(self, begin: int) -> bool:
        """Whether the hunk's old lines are at a line's beginning, with the pins that `git apply` knows."""
        end = begin + len(self._old)
        return (
            self._text.content.startswith(self._old, begin)
            and (end == len(self._text.content) or not self._to_end)
            and (begin == 0 or not self._from_start)
            and (bool(self._old) or begin == 0 or self._text.content[begin - 1 : begin] == b"\n")
            and not any(begin < taken and end > start for start, taken in self._spans)
        )

    def _places(self) -> Iterator[int]:
        content = b"\n" + self._text.content
        begin = content.find(b"\n" + self._old)
        while begin >= 0:
            if self._fits(begin):
                yield begin
            begin = content.find(b"\n" + self._old, begin + 1)

    def _in_order(self, begin: int) -> int:
        if self._spans and begin < self._spans[-1][1]:
            line = self._text.line(begin) + 1
            raise PlacingError(f"{self._name} belongs at line {line}, which is above the hunk before it")
        return begin

    def _difference(self) -> str:
        held = lines_of(self._text.content)
        difference = first_difference(self._hunk, held, anywhere=self._context)
        if difference is None and not self._old:
            return f"the diff adds lines after line {self._hunk.old_start}, where the file has no line to follow on"
        return difference or f"at line {self._hunk.old_start} it is in the way of another hunk or of the file's end"

    def _ambiguous(self, places: Sequence[int], *, holds: bool) -> str:
        more = " and more" if len(places) > _MOST_PLACES else ""
        lines = ", ".join(str(self._text.line(place) + 1) for place in places[:_MOST_PLACES])
        doubt = "but a hunk before it had to be moved" if holds else "where its lines are not"
        return (
            f"{self._name} could go to several places: its header says line {self._hunk.old_start}, {doubt}, and its "
            f"lines are found at the lines {lines}{more}"
        )


def _joined(lines: Sequence[str]) -> bytes:
    return "".join(lines).encode("utf-8", "surrogatepass")


def _has_context(hunk: Hunk) -> bool:
    return any(line[0] == " " for line in hunk.lines)


def _last_mark(hunk: Hunk) -> str:
    return next((line[0] for line in reversed(hunk.lines) if line[0] != "\\"), " ")


def _ends_file(hunk: Hunk) -> bool:
    """A line without a newline, on either side, can only be a file's last."""
    return any(side and not side[-1].endswith("\n") for side in (hunk.old_lines(), hunk.new_lines()))
