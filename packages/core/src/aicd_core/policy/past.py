"""Judging a change that nobody planned: a commit of the past, or of a corpus."""

from collections.abc import Sequence

from aicd_core.contracts.change import FileChange, FileOp
from aicd_core.contracts.plan import AcceptanceCriterion, Estimate, Plan, PlannedFile, PlannedOp, PlanStep, Risk


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
