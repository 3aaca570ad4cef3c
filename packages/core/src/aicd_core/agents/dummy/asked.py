"""What feedback on a pull request spells out: diffs and suggestions in the comments, all carried out in one round."""

from collections.abc import Iterator
from dataclasses import dataclass

from aicd_core.agents.dummy.candidates import Candidate, Refused, apply_candidate, place, read_candidate
from aicd_core.agents.dummy.git_apply import git_reasons
from aicd_core.agents.dummy.watch import watch
from aicd_core.contracts.agent import AgentSession
from aicd_core.contracts.change import Answer, Change
from aicd_core.contracts.outside import OutsideFeedback, Thread
from aicd_core.contracts.workspace import Workspace
from aicd_core.errors import AicdError, StepFailedError
from aicd_core.patches import extract_patches, extract_suggestions


@dataclass(frozen=True)
class Suggestion:
    """What the lines of a file from `first` to `last` (from 1) are to be."""

    path: str
    first: int
    last: int
    text: str


def diffs_of(outside: OutsideFeedback) -> tuple[str, ...]:
    """The diffs of what is new in the feedback, in order."""
    return tuple(diff for text in _new_texts(outside) for diff in extract_patches(text))


def suggestions_of(outside: OutsideFeedback) -> tuple[Suggestion, ...]:
    """The suggestions of what is new in the feedback, in the order in which none moves the lines of another."""
    found = [suggestion for thread in outside.threads for suggestion in _suggestions(thread, outside)]
    return tuple(sorted(found, key=lambda one: (one.path, -one.first)))


def spells_out(outside: OutsideFeedback | None) -> bool:
    """Whether the feedback says itself what to change."""
    return outside is not None and bool(diffs_of(outside) or suggestions_of(outside))


async def carry_out(outside: OutsideFeedback, workspace: Workspace, session: AgentSession) -> Change:
    """Makes all the changes that the feedback spells out, on the tree as it is.

    Raises:
        StepFailedError: code `patch_does_not_apply`: one of them cannot be made there.
    """
    diffs, suggestions = diffs_of(outside), suggestions_of(outside)
    for suggestion in suggestions:
        watch(session, f"Taking a suggestion for {suggestion.path}")
        await _take(suggestion, workspace)
    for number, text in enumerate(diffs, 1):
        watch(session, f"Applying diff {number} of the feedback")
        await _apply(number, text, workspace)
    parts = [
        f"{count} {name}" for count, name in ((len(diffs), "diff(s)"), (len(suggestions), "suggestion(s)")) if count
    ]
    told = (Answer(thread=thread.id, text=_said_of(thread, outside)) for thread in outside.threads)
    return Change(summary=f"Made what the feedback spells out: {' and '.join(parts)}.", answers=tuple(told))


def _said_of(thread: Thread, outside: OutsideFeedback) -> str:
    texts = list(_news(thread, outside))
    if any(extract_patches(text) or extract_suggestions(text) for text in texts):
        return "Changed as it says here."
    return "Without a model only a diff or a suggestion can be carried out, and here is none."


async def _apply(number: int, text: str, workspace: Workspace) -> None:
    candidate = read_candidate(number, text)
    placed = await place(candidate, workspace) if isinstance(candidate, Candidate) else candidate
    if isinstance(placed, Refused):
        raise _unusable(f"Diff {number} of the feedback", placed.refusal.reason)
    result = await apply_candidate(placed, workspace)
    if not result.ok:
        raise _unusable(f"Diff {number} of the feedback", git_reasons(result.output))


async def _take(suggestion: Suggestion, workspace: Workspace) -> None:
    try:
        lines = (await workspace.read(suggestion.path)).decode().splitlines(keepends=True)
    except (AicdError, UnicodeDecodeError) as error:
        raise _unusable(f"The suggestion for {suggestion.path}", str(error)) from error
    if not 1 <= suggestion.first <= suggestion.last <= len(lines):
        raise _unusable(f"The suggestion for {suggestion.path}", f"the file has no line {suggestion.last}")
    lines[suggestion.first - 1 : suggestion.last] = [suggestion.text]
    await workspace.write(suggestion.path, "".join(lines).encode())


def _unusable(what: str, reason: str) -> StepFailedError:
    return StepFailedError(f"{what} cannot be used: {reason}.", code="patch_does_not_apply")


def _new_texts(outside: OutsideFeedback) -> Iterator[str]:
    yield from (review.body for review in outside.reviews)
    for thread in outside.threads:
        yield from _news(thread, outside)
    yield from (comment.body for comment in outside.comments)


def _news(thread: Thread, outside: OutsideFeedback) -> Iterator[str]:
    """What is said in a thread that no round before dealt with."""
    return (said.body for said in thread.comments if f"comment:{said.id}" in outside.seen)


def _suggestions(thread: Thread, outside: OutsideFeedback) -> Iterator[Suggestion]:
    if thread.line is None:
        return
    for text in _news(thread, outside):
        for found in extract_suggestions(text):
            yield Suggestion(thread.path, thread.start_line or thread.line, thread.line, found)
