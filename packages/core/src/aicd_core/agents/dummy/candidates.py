"""The diffs of an issue, and which of them can be carried out."""

import asyncio
from dataclasses import dataclass
from typing import Final

from aicd_core.agents.dummy.diagnosis import explain
from aicd_core.agents.dummy.git_apply import git_apply
from aicd_core.agents.dummy.refusals import Refusal, refusal_of
from aicd_core.agents.dummy.watch import watch
from aicd_core.contracts.agent import AgentSession
from aicd_core.contracts.workspace import Workspace
from aicd_core.errors import StepFailedError
from aicd_core.patches import FilePatch, PatchError, extract_patches, parse_with_strip

MOST_CANDIDATES: Final = 20
"""Diffs looked at in one issue; a job has few rounds, so that more could never be tried."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One diff of the issue; `number` counts the issue's diffs from 1, `strip` is `patch -p`'s."""

    number: int
    text: str
    strip: int
    files: tuple[FilePatch, ...]


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
    body: str, workspace: Workspace, session: AgentSession
) -> tuple[list[Candidate], list[Refused]]:
    """Tries every diff of the issue on the tree as it is: the usable ones, and the others with reasons.

    Raises:
        StepFailedError: code `no_usable_diff` when the issue has no diff at all.
    """
    texts = await asyncio.to_thread(extract_patches, body)  # megabytes would hold up every other job
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
    result = await git_apply(text, workspace, strip=candidate.strip, check_only=True)
    if result.ok:
        return candidate
    return Refused(number, await explain(candidate.files, result.output, workspace))


def no_candidate(refused: list[Refused]) -> StepFailedError:
    """The error for an issue none of whose diffs is of use: the first one's reason leads."""
    return StepFailedError(" ".join(item.sentence() for item in refused), code=refused[0].refusal.code)
