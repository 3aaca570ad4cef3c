"""The plan of a change that is known to the letter."""

import re
from collections.abc import Sequence
from typing import Final

from aicd_core.agents.dummy.candidates import Candidate, Move, Refused
from aicd_core.contracts.plan import (
    AcceptanceCriterion,
    Estimate,
    Plan,
    PlannedFile,
    PlannedOp,
    PlanStep,
    Risk,
)
from aicd_core.contracts.task import Task
from aicd_core.errors import StepFailedError
from aicd_core.patches import FilePatch, PatchKind
from aicd_core.text import one_line

PATCH_APPLIED: Final = "patch-applied"
TESTS_GREEN: Final = "tests-pass"
NO_TESTS: Final = "No test command is declared, so nothing but the diff itself can be checked."

_STEP: Final = "apply-diff"
_STEP_ID: Final = re.compile(rf"{_STEP}:([0-9]{{1,4}}(?:,[0-9]{{1,4}})*)")
_MOVED: Final = re.compile(
    r"Hunk ([0-9]{1,9}) of diff ([0-9]{1,4}) is laid at line ([0-9]{1,9}), not at line ([0-9]{1,9})"
)
_PARAGRAPH: Final = 600
_MANY_FILES: Final = 20


def make_plan(task: Task, usable: Sequence[Candidate], refused: Sequence[Refused]) -> Plan:
    """One step that applies the first usable diff; the others stand by for the rounds after it."""
    files = planned_files(usable)
    numbers = [candidate.number for candidate in usable]
    return Plan(
        base_sha=task.base_sha,
        problem=_problem(task),
        acceptance_criteria=_criteria(task),
        steps=(
            PlanStep(
                id=f"{_STEP}:{','.join(map(str, numbers))}",
                goal=_goal(numbers),
                files=files,
                criteria=(PATCH_APPLIED, TESTS_GREEN),
            ),
        ),
        test_commands=task.test_commands,
        risk=_risk(task, files),
        out_of_scope=("Everything that the issue's diffs do not name.",),
        assumptions=_assumptions(task, usable, refused),
        estimate=Estimate(steps=1, usd=0),
    )


def planned_numbers(plan: Plan) -> tuple[int, ...]:
    """The numbers of the diffs that a plan made here means to try, in order.

    Raises:
        StepFailedError: code `foreign_plan`: the plan was made by another agent.
    """
    match = _STEP_ID.fullmatch(plan.steps[0].id) if len(plan.steps) == 1 else None
    if match is None:
        raise StepFailedError(
            "The plan was not made by this agent, which can only carry out its own. Start the job anew.",
            code="foreign_plan",
        )
    return tuple(int(number) for number in match[1].split(","))


def planned_moves(plan: Plan, number: int) -> tuple[Move, ...]:
    """The hunks of a diff that the plan lays at other lines than their headers say, each found to be the only place."""
    matches = [_MOVED.match(assumption) for assumption in plan.assumptions]
    return tuple(
        Move(int(match[1]), "", stated=int(match[4]), line=int(match[3]))
        for match in matches
        if match is not None and int(match[2]) == number
    )


def planned_files(candidates: Sequence[Candidate]) -> tuple[PlannedFile, ...]:
    """Every path that some candidate touches, sorted; where they disagree, the first one's way counts."""
    ops: dict[str, PlannedOp] = {}
    for candidate in candidates:
        ops = _ops(candidate.files) | ops
    return tuple(PlannedFile(path=path, op=ops[path]) for path in sorted(ops))


def _ops(files: Sequence[FilePatch]) -> dict[str, PlannedOp]:
    """What the diff does to each path in the end: a path both left and laid anew is modified."""
    gone = {file.old_path for file in files if file.kind is PatchKind.RENAME and file.old_path is not None}
    gone |= {file.path for file in files if file.kind is PatchKind.DELETE}
    laid = (PatchKind.CREATE, PatchKind.RENAME, PatchKind.COPY)
    ops = dict.fromkeys((file.path for file in files if file.kind is PatchKind.MODIFY), PlannedOp.MODIFY)
    ops |= dict.fromkeys((file.path for file in files if file.kind in laid), PlannedOp.CREATE)
    ops |= {path: PlannedOp.MODIFY if ops.get(path) is PlannedOp.CREATE else PlannedOp.DELETE for path in gone}
    return ops


def _problem(task: Task) -> str:
    """The title and the first paragraph of prose; an issue's text begins with its title, which is not said twice."""
    title, body = task.title.strip(), task.body.strip()
    first, _, rest = body.partition("\n")
    if one_line(first.lstrip("#")) == one_line(title):
        body = rest.strip()
    paragraph = re.split(r"\r?\n\s*\r?\n|^ {0,3}(?:```|~~~|<!--)", body, maxsplit=1, flags=re.MULTILINE)[0]
    text = " ".join(paragraph.split())
    if len(text) > _PARAGRAPH:
        text = f"{text[:_PARAGRAPH]}…"
    return "\n\n".join(part for part in (title, text) if part)


def _goal(numbers: Sequence[int]) -> str:
    goal = f"Apply diff {numbers[0]} of the issue."
    spare = ", then ".join(f"diff {number}" for number in numbers[1:])
    return f"{goal} If it is rejected, go back to the base commit and try {spare}." if spare else goal


def _criteria(task: Task) -> tuple[AcceptanceCriterion, ...]:
    return (
        AcceptanceCriterion(
            id=PATCH_APPLIED,
            text="Everything that the diff says is in the tree, and nothing else.",
            verify="Compare the measured change with the diff, line by line.",
        ),
        AcceptanceCriterion(
            id=TESTS_GREEN,
            text="The declared tests pass.",
            verify=" && ".join(task.test_commands) or NO_TESTS,
        ),
    )


def _assumptions(task: Task, usable: Sequence[Candidate], refused: Sequence[Refused]) -> tuple[str, ...]:
    """What the diffs were taken to mean; `planned_moves` reads the lines of moved hunks back for the review."""
    moved = tuple(
        f"Hunk {move.hunk} of diff {candidate.number} is laid at line {move.line}, not at line {move.stated}: its "
        f"lines are nowhere else in {move.path!r}."
        for candidate in usable
        for move in candidate.moves
    )
    skipped = tuple(f"Skipped: {item.sentence()}" for item in refused)
    return (*moved, *skipped) if task.test_commands else (*moved, *skipped, NO_TESTS)


def _risk(task: Task, files: Sequence[PlannedFile]) -> Risk:
    reasons = []
    if not task.test_commands:
        reasons.append("No test command is declared.")
    deleted = sum(file.op is PlannedOp.DELETE for file in files)
    if deleted:
        reasons.append(f"Files deleted or moved away: {deleted}.")
    if len(files) > _MANY_FILES:
        reasons.append(f"Many files at once: {len(files)}.")
    return Risk(level="medium" if reasons else "low", reasons=tuple(reasons))
