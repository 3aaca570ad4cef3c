"""Judging a change that nobody planned: a commit of the past, of a corpus, or a patch that somebody asks about."""

from collections.abc import Sequence

from pydantic import ValidationError

from aicd_core.contracts.change import ChangeSet, FileChange, FileOp
from aicd_core.contracts.plan import AcceptanceCriterion, Estimate, Plan, PlannedFile, PlannedOp, PlanStep, Risk
from aicd_core.errors import InvalidInputError
from aicd_core.patches import FilePatch, PatchError, PatchKind, parse_patch
from aicd_core.text import one_line

NOWHERE = "0" * 40
"""The commit of a patch that belongs to none."""


def change_of_patch(patch: bytes) -> ChangeSet:
    """The change that a patch in git's form describes, as far as the patch alone tells; a copy counts as created.

    Raises:
        InvalidInputError: code `bad_patch`; it is none, or names paths that cannot be.
    """
    try:
        parsed = parse_patch(patch.decode("utf-8", "replace"))
        files = tuple(_file_change(file) for file in parsed)
    except (PatchError, ValidationError) as error:
        raise InvalidInputError(
            f"That is no patch in git's form: {one_line(str(error), 200)}. Send what `git diff` prints.",
            code="bad_patch",
        ) from error
    if not files:
        raise InvalidInputError("The patch changes nothing. Send what `git diff` prints.", code="bad_patch")
    return ChangeSet(base_sha=NOWHERE, tree_sha=NOWHERE, files=files, patch=patch)


def _file_change(file: FilePatch) -> FileChange:
    copied = file.kind is PatchKind.COPY
    return FileChange(
        path=file.path,
        op=FileOp.CREATE if copied else FileOp(file.kind.value),
        old_path=None if copied else file.old_path,
        old_mode=file.old_mode,
        new_mode=file.new_mode,
        added_lines=file.added_count,
        removed_lines=file.removed_count,
        binary=file.binary,
    )


def plan_of(files: Sequence[FileChange], base_sha: str, title: str, new_dependencies: Sequence[str] = ()) -> Plan:
    """A plan that names exactly what the change did, so that no finding says that it was not planned."""
    ops: dict[str, PlannedOp] = {}
    for file in files:
        if file.op is FileOp.RENAME and file.old_path is not None:
            ops |= {file.old_path: PlannedOp.DELETE, file.path: PlannedOp.CREATE}
        else:
            ops[file.path] = PlannedOp(file.op.value)
    planned = tuple(PlannedFile(path=path, op=op) for path, op in ops.items())
    return Plan(
        base_sha=base_sha,
        problem=title,
        acceptance_criteria=(AcceptanceCriterion(id="A1", text=title, verify="It was merged."),),
        steps=(PlanStep(id="S1", goal=title, files=planned, criteria=("A1",)),),
        risk=Risk(level="low"),
        new_dependencies=tuple(new_dependencies),
        estimate=Estimate(steps=1, usd=0),
    )
