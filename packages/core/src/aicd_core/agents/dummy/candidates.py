"""The diffs of an issue, and which of them can be carried out."""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

from aicd_core.agents.dummy.diagnosis import explain
from aicd_core.agents.dummy.git_apply import git_apply
from aicd_core.agents.dummy.placing import Placed, PlacingError, place_hunks, with_headers, with_starts
from aicd_core.agents.dummy.refusals import Refusal, refusal_of
from aicd_core.agents.dummy.watch import watch
from aicd_core.contracts.agent import AgentSession
from aicd_core.contracts.evidence import CommandResult
from aicd_core.contracts.task import Task
from aicd_core.contracts.workspace import Workspace
from aicd_core.errors import AicdError, StepFailedError
from aicd_core.patches import FilePatch, PatchError, PatchKind, parse_with_strip

MOST_CANDIDATES: Final = 20
"""Diffs looked at in one issue; a job has few rounds, so that more could never be tried."""


_SYMLINK: Final = "120000"


@dataclass(frozen=True, slots=True)
class Move:
    """A hunk (counted from 1 through the whole diff) that belongs at another line than its header says."""

    hunk: int
    path: str
    stated: int
    line: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One diff of the issue; `number` counts the issue's diffs from 1, `strip` is `patch -p`'s.

    Text and files have the headers that `moves` make; `zero_context`: a hunk is placed by its header alone.
    """

    number: int
    text: str
    strip: int
    files: tuple[FilePatch, ...]
    moves: tuple[Move, ...] = ()
    zero_context: bool = False

    def moved(self, moves: tuple[Move, ...]) -> "Candidate":
        """The diff with the hunks of `moves` at their lines."""
        files = with_starts(self.files, {move.hunk: move.line for move in moves})
        return replace(self, text=with_headers(self.text, files), files=files, moves=moves)


@dataclass(frozen=True, slots=True)
class Refused:
    """One diff of the issue that is of no use, and why."""

    number: int
    refusal: Refusal

    def sentence(self) -> str:
        return f"Diff {self.number} of the issue cannot be used: {self.refusal.reason}."


def read_candidate(number: int, text: str) -> Candidate | Refused:
    """Parses one diff and refuses what no tree could make good."""
    try:
        candidate = Candidate(number, text, *parse_with_strip(text))
    except PatchError as error:
        problem = f"its line {error.line} cannot be read: {error.problem}"
        return Refused(number, Refusal(error.code, problem))
    refusal = refusal_of(candidate.files)
    return candidate if refusal is None else Refused(number, refusal)


async def check_candidates(
    task: Task, workspace: Workspace, session: AgentSession
) -> tuple[list[Candidate], list[Refused]]:
    """Tries every diff of the issue on the tree as it is: the usable ones, and the others with reasons.

    Raises:
        StepFailedError: code `no_usable_diff` when the issue has no diff at all.
    """
    texts = await asyncio.to_thread(task.diffs)  # megabytes would hold up every other job
    if not texts:
        raise StepFailedError(
            "The issue holds no diff to carry out. Without a model an issue must spell out its change as a "
            "unified diff in a fenced block that begins with ```diff, as `git diff` prints it.",
            code="no_usable_diff",
        )
    usable: list[Candidate] = []
    refused: list[Refused] = []
    for number, text in enumerate(texts[:MOST_CANDIDATES], start=1):
        outcome = await _check(number, text, workspace, session)
        if isinstance(outcome, Candidate):
            usable.append(outcome)
        else:
            refused.append(outcome)
    if len(texts) > MOST_CANDIDATES:
        too_many = Refusal("too_many_diffs", f"only the first {MOST_CANDIDATES} diffs of an issue are tried")
        refused.append(Refused(MOST_CANDIDATES + 1, too_many))
    return usable, refused


async def _check(number: int, text: str, workspace: Workspace, session: AgentSession) -> Candidate | Refused:
    watch(session, f"Trying diff {number} of the issue on the base commit")
    candidate = await asyncio.to_thread(read_candidate, number, text)
    if isinstance(candidate, Refused):
        return candidate
    placed = await place(candidate, workspace)
    if isinstance(placed, Refused):
        return placed
    result = await apply_candidate(placed, workspace, check_only=True)
    if result.ok:
        return placed
    return Refused(number, await explain(placed.files, result.output, workspace))


async def apply_candidate(candidate: Candidate, workspace: Workspace, *, check_only: bool = False) -> CommandResult:
    """`git apply` of a placed diff, as `git_apply` tells."""
    return await git_apply(
        candidate.text,
        workspace,
        strip=candidate.strip,
        check_only=check_only,
        zero_context=candidate.zero_context,
    )


async def place(candidate: Candidate, workspace: Workspace) -> Candidate | Refused:
    """The diff with each hunk where it belongs in the tree as it is; a file that cannot be read is left to git."""
    again = Counter(file.path for file in candidate.files)
    laid: dict[str, bytes | None] = {}
    moves: list[Move] = []
    first, zero_context = 1, False
    for file in candidate.files:
        content = await _before(file, laid, workspace) if file.hunks or again[file.path] > 1 else None
        if content is not None:
            try:
                placed = await asyncio.to_thread(place_hunks, file.old_path or file.path, file.hunks, content)
            except PlacingError as error:
                return Refused(candidate.number, Refusal("patch_does_not_apply", str(error)))
            moves += _moves(file, placed, first)
            zero_context = zero_context or placed.zero_context
            content = placed.content
        elif file.kind is PatchKind.CREATE:
            content = "".join(line for hunk in file.hunks for line in hunk.new_lines()).encode("utf-8", "surrogatepass")
        if again[file.path] > 1:
            laid[file.path] = content
        first += len(file.hunks)
    return replace(candidate.moved(tuple(moves)), zero_context=zero_context)


async def _before(file: FilePatch, laid: dict[str, bytes | None], workspace: Workspace) -> bytes | None:
    """What a file's hunks apply to; as in git, a rename or copy reads its source from the base."""
    if file.kind in (PatchKind.CREATE, PatchKind.DELETE) or _SYMLINK in (file.old_mode, file.new_mode):
        return None
    if file.old_path is None and file.path in laid:
        return laid[file.path]
    try:
        return await workspace.read(file.old_path or file.path)
    except AicdError:
        return None


def _moves(file: FilePatch, placed: Placed, first: int) -> list[Move]:
    pairs = enumerate(zip(file.hunks, placed.hunks, strict=True), start=first)
    return [
        Move(number, file.path, stated.old_start, hunk.old_start)
        for number, (stated, hunk) in pairs
        if stated.old_start != hunk.old_start
    ]


def no_candidate(refused: list[Refused]) -> StepFailedError:
    """The error for an issue none of whose diffs is of use: the first one's reason leads."""
    return StepFailedError(" ".join(item.sentence() for item in refused), code=refused[0].refusal.code)
