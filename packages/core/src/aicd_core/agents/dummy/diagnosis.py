"""Why a diff does not apply, in the words of a person who has to mend it."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from aicd_core.agents.dummy.git_apply import git_reasons
from aicd_core.agents.dummy.refusals import Refusal
from aicd_core.contracts.workspace import Workspace
from aicd_core.errors import AicdError
from aicd_core.patches import FilePatch, Hunk, PatchKind

_SHOWN: Final = 120
_COMMON: Final = 50
"""A line found more often than this in a file says nothing about where a hunk belongs."""


async def explain(files: Sequence[FilePatch], output: str, workspace: Workspace) -> Refusal:
    """The first fault of a diff that `git apply --check` refused; `output` is what git said.

    Args:
        files: the diff, parsed.
        output: git's messages.
        workspace: the tree that the diff was tried on.
    """
    if "is beyond a symbolic link" in output or "invalid path '" in output:
        return Refusal("path_escapes", f"it leads out of the repository: {git_reasons(output)}")
    reason = await _first_fault(files, output, workspace) or f"git says: {git_reasons(output)}"
    return Refusal("patch_does_not_apply", reason)


async def _first_fault(files: Sequence[FilePatch], output: str, workspace: Workspace) -> str | None:
    laid: set[str] = set()
    for file in files:
        fault = await _file_fault(file, output, workspace, laid)
        if fault is not None:
            return fault
        laid.add(file.path)
    return None


async def _file_fault(file: FilePatch, output: str, workspace: Workspace, laid: set[str]) -> str | None:
    source = file.old_path or file.path
    made = file.kind in (PatchKind.CREATE, PatchKind.RENAME, PatchKind.COPY)
    if made and f"error: {file.path}: already exists" in output:
        return f"it creates {file.path!r}, but that exists already at the base commit"
    if file.kind is PatchKind.CREATE or source in laid:
        return None
    if f"error: {source}: No such file or directory" in output:
        return f"it changes {source!r}, but that file does not exist at the base commit"
    if f"error: {source}: wrong type" in output:
        return f"it changes {source!r} as a file of mode {file.old_mode}, but that is of another type"
    for number, hunk in enumerate(file.hunks, start=1):
        if f"error: patch failed: {source}:{hunk.old_start}\n" in output:
            return await _hunk_fault(source, number, hunk, workspace)
    return None


async def _hunk_fault(path: str, number: int, hunk: Hunk, workspace: Workspace) -> str | None:
    try:
        content = await workspace.read(path)
    except AicdError:
        return None
    difference = first_difference(hunk, lines_of(content))
    return None if difference is None else f"hunk {number} of {path!r} does not match: {difference}"


def lines_of(content: bytes) -> list[str]:
    """A file's lines with their line ends; bytes that are not UTF-8 become U+FFFD."""
    held = [f"{line}\n" for line in content.decode("utf-8", "replace").split("\n")]
    last = held.pop().removesuffix("\n")
    return [*held, last] if last else held


def first_difference(hunk: Hunk, held: Sequence[str], *, anywhere: bool = True) -> str | None:
    """Where a hunk first differs from a file, given as lines with line ends; None when it does not.

    Not `anywhere`: the hunk is held against its header's line only.
    """
    expected = hunk.old_lines()
    start = _best_start(hunk, expected, held) if anywhere else max(hunk.old_start - 1, 0)
    for at, line in enumerate(expected, start=start):
        if at >= len(held):
            return f"at line {at + 1} the diff expects {_shown(line)}, but the file has only {len(held)} lines"
        if held[at] != line:
            found = f"at line {at + 1} the diff expects {_shown(line)}, but the file holds {_shown(held[at])}"
            return found + _hint(line, held[at])
    return _misplaced(hunk, start, len(held)) if anywhere else None


def _misplaced(hunk: Hunk, start: int, length: int) -> str | None:
    """Git pins a hunk of line 1 to the file's beginning, and one without context after it to the end."""
    end = start + hunk.old_count
    if hunk.lines[-1][0] != " " and end < length:
        return f"the diff says that the file ends after line {end}, but it goes on to line {length}"
    if hunk.old_start <= 1 and start > 0:
        return f"the diff says that the file begins with these lines, but they begin at line {start + 1}"
    return None


def _best_start(hunk: Hunk, expected: Sequence[str], held: Sequence[str]) -> int:
    """The 0-based line where most of the hunk's lines are found; its own line number settles ties."""
    stated = max(hunk.old_start - 1, 0)
    places: defaultdict[str, list[int]] = defaultdict(list)
    for at, line in enumerate(held):
        places[line].append(at)
    votes = Counter(
        at - index
        for index, line in enumerate(expected)
        if len(places.get(line, ())) <= _COMMON
        for at in places.get(line, ())
        if at >= index
    )
    best = max(votes.values(), default=0)
    return min(
        (start for start, count in votes.items() if count == best), key=lambda s: abs(s - stated), default=stated
    )


def _shown(line: str) -> str:
    text = line.removesuffix("\n")
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _hint(expected: str, held: str) -> str:
    if expected.rstrip("\r\n") == held.rstrip("\r\n"):
        if expected.endswith("\n") != held.endswith("\n"):
            return " (they differ in the newline at the end of the file)"
        return " (they differ in the line end: one is CRLF)"
    if expected.split() == held.split():
        return " (they differ in white space)"
    return ""
