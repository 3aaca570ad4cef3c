"""A patch as rows of a table, with what was found at their lines, in pages. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aicd_core.contracts.change import FileChange
from aicd_core.patches import FilePatch, Hunk, PatchError, parse_patch

ROWS_MOST = 800
"""Rows of a page."""


@dataclass(frozen=True)
class Finding:
    """What somebody says about a line. `by`: the policy or a review; `tone`: how grave it is."""

    by: str
    tone: str
    path: str | None
    line: int | None
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Row:
    """A line of a hunk, or its header. `mark` is `+`, `-`, ` ` or `@`."""

    mark: str
    text: str
    old: int | None = None
    new: int | None = None
    findings: tuple[Finding, ...] = ()


@dataclass
class Part:
    """What a page shows of one file; `loose` are findings at lines that the patch does not show."""

    file: FileChange
    number: int
    rows: list[Row] = field(default_factory=list)
    loose: tuple[Finding, ...] = ()
    continued: bool = False


@dataclass(frozen=True)
class DiffPage:
    """Some rows of a whole diff. `pages` is how many pages there are; `page_of` says where each file begins."""

    parts: Sequence[Part]
    number: int
    pages: int
    rows: int
    page_of: Sequence[int]


def diff_page(patch: str, files: Sequence[FileChange], findings: Iterable[Finding], wanted: int) -> DiffPage:
    """One page of a diff, from 1; a number beyond the last is the last.

    A patch that cannot be read has no rows; its files are told all the same.
    """
    by_path = _by_path(findings)
    try:
        patches = {item.path: item for item in parse_patch(patch)}
    except PatchError:
        patches = {}
    lengths = [_length(patches.get(file.path)) for file in files]
    starts = [sum(lengths[:index]) for index in range(len(lengths))]
    total = sum(lengths)
    pages = max(1, -(-total // ROWS_MOST))
    number = min(max(wanted, 1), pages)
    first, last = (number - 1) * ROWS_MOST, number * ROWS_MOST
    parts = []
    for index, file in enumerate(files):
        begin, end = starts[index], starts[index] + lengths[index]
        if begin >= last or (end <= first and (end, begin) != (first, first)):
            continue
        rows, loose = _rows(patches.get(file.path), by_path.get(file.path, ()))
        shown = rows[max(0, first - begin) : last - begin]
        parts.append(Part(file, index, shown, loose if begin >= first else (), continued=begin < first))
    page_of = [min(start // ROWS_MOST, pages - 1) + 1 for start in starts]
    return DiffPage(parts, number, pages, total, page_of)


def _by_path(findings: Iterable[Finding]) -> Mapping[str, list[Finding]]:
    found = defaultdict[str, list[Finding]](list)
    for finding in findings:
        if finding.path is not None:
            found[finding.path].append(finding)
    return found


def _length(patch: FilePatch | None) -> int:
    return sum(len(hunk.lines) + 1 for hunk in patch.hunks) if patch else 0


def _rows(patch: FilePatch | None, findings: Sequence[Finding]) -> tuple[list[Row], tuple[Finding, ...]]:
    at_line = defaultdict[int | None, list[Finding]](list)
    for finding in findings:
        at_line[finding.line].append(finding)
    rows = [row for hunk in (patch.hunks if patch else ()) for row in _hunk(hunk, at_line)]
    shown = {row.new for row in rows if row.mark in "+ "}
    return rows, tuple(finding for finding in findings if finding.line is None or finding.line not in shown)


def _hunk(hunk: Hunk, at_line: Mapping[int | None, list[Finding]]) -> Iterator[Row]:
    header = f"@@ -{hunk.old_start},{hunk.old_count} +{hunk.new_start},{hunk.new_count} @@"
    yield Row("@", header)
    old, new = hunk.old_start, hunk.new_start
    for line in hunk.lines:
        mark, text = line[0], line[1:]
        if mark == "\\":
            yield Row("@", "No newline at the end of the file")
            continue
        here = tuple(at_line.get(new, ())) if mark in "+ " else ()
        yield Row(mark, text, old if mark in "- " else None, new if mark in "+ " else None, here)
        old += mark in "- "
        new += mark in "+ "
