"""Finding the diffs that an issue spells out in fenced code blocks."""

import re
from dataclasses import dataclass
from typing import Final

from aicd_core.patches.parse import HUNK_HEADER

_OPENER: Final = re.compile(r"( {0,3})(`{3,}(?=[^`]*$)|~{3,})[ \t]*([^\s]*)")
_COMMENT: Final = re.compile(r" {0,3}<!--")
_LANGUAGES: Final = frozenset({"diff", "patch"})
_SUGGESTION: Final = frozenset({"suggestion"})


@dataclass(frozen=True, slots=True)
class _Fence:
    indent: int
    mark: str
    language: str
    crlf: bool

    def closed_by(self, line: str) -> bool:
        """CommonMark 0.31, 4.5: the same mark at least as often, at most three blanks before it."""
        bare = line.rstrip(" \t\r")
        text = bare.lstrip(" ")
        return len(bare) - len(text) <= 3 and text.startswith(self.mark) and not text.strip(self.mark[0])


def extract_patches(markdown: str) -> tuple[str, ...]:
    """The contents of all ```` ```diff ```` and ```` ```patch ```` blocks of an issue, in order, unchanged.

    The closing fence is looked for outside of hunks only: a context line may well be a fence itself. Text
    that arrived with CRLF line ends (the opening fence's own line tells) loses one CR per line, so that
    a diff of a CRLF file keeps its own. An HTML comment hides its blocks from readers, and so from us.
    """
    return _blocks(markdown, _LANGUAGES)


def extract_suggestions(markdown: str) -> tuple[str, ...]:
    """The contents of all ```` ```suggestion ```` blocks of a review comment, in order: what its lines are to be.

    https://docs.github.com/en/get-started/writing-on-github/working-with-advanced-formatting
    """
    return _blocks(markdown, _SUGGESTION)


def _blocks(markdown: str, wanted: frozenset[str]) -> tuple[str, ...]:
    lines = markdown.split("\n")
    patches = []
    at = 0
    while at < len(lines):
        if _COMMENT.match(lines[at]):
            at = _after_comment(lines, at)
            continue
        fence = _opened(lines[at])
        at += 1
        if fence is None:
            continue
        end = _end_of_diff(lines, at, fence) if fence.language in _LANGUAGES else _end_of_block(lines, at, fence)
        if fence.language in wanted:
            patches.append(_content(lines[at:end], fence, closed=end < len(lines)))
        at = end + 1
    return tuple(patches)


def _opened(line: str) -> _Fence | None:
    match = _OPENER.match(line)
    if match is None:
        return None
    return _Fence(len(match[1]), match[2], match[3].lower(), line.endswith("\r"))


def _after_comment(lines: list[str], at: int) -> int:
    if "-->" in lines[at].split("<!--", 1)[1]:
        return at + 1
    return next((n + 1 for n in range(at + 1, len(lines)) if "-->" in lines[n]), len(lines))


def _end_of_block(lines: list[str], at: int, fence: _Fence) -> int:
    return next((n for n in range(at, len(lines)) if fence.closed_by(lines[n])), len(lines))


def _end_of_diff(lines: list[str], at: int, fence: _Fence) -> int:
    """The index of the closing fence, or the end of the text when there is none."""
    indent = _content_indent(lines, at, fence)
    old_left = new_left = 0
    for number in range(at, len(lines)):
        line = _dedented(lines[number], indent)
        if old_left > 0 or new_left > 0:
            mark = line.removesuffix("\r")[:1] or " "
            if mark in " +-\\":
                old_left -= mark in " -"
                new_left -= mark in " +"
                continue
            old_left = new_left = 0
        if fence.closed_by(lines[number]):
            return number
        if match := HUNK_HEADER.match(line):
            old_left, new_left = (1 if count is None else int(count) for count in (match[2], match[4]))
    return len(lines)


def _content_indent(lines: list[str], at: int, fence: _Fence) -> int:
    """How far the block is indented along with its fence; its first line that is not blank tells."""
    if fence.indent == 0:
        return 0
    first = next((lines[n] for n in range(at, len(lines)) if lines[n].strip()), "")
    return min(fence.indent, len(first) - len(first.lstrip(" ")))


def _dedented(line: str, indent: int) -> str:
    return line[min(indent, len(line) - len(line.lstrip(" "))) :] if indent else line


def _content(lines: list[str], fence: _Fence, *, closed: bool) -> str:
    if not closed and lines and not lines[-1]:
        lines = lines[:-1]
    indent = _content_indent(lines, 0, fence)
    kept = [_dedented(line, indent) for line in lines]
    if fence.crlf:
        kept = [line.removesuffix("\r") for line in kept]
    return "".join(f"{line}\n" for line in kept)
