"""Checks a plan in code, before a coder's token is spent (design §3). Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePosixPath

from aicd_core.contracts import Plan, PlannedFile, PlannedOp, PlanStep
from aicd_core.repo_config import FILE_NAME, Sparse


@dataclass(frozen=True)
class PlanFault:
    """One thing wrong with a plan; `forbidden` names the path that policy will not have touched, if that is it."""

    message: str
    forbidden: str | None = None

    @property
    def by_policy(self) -> bool:
        """Whether the plan is well-formed here, but forbidden."""
        return self.forbidden is not None


def numbered(faults: Iterable[PlanFault]) -> tuple[str, ...]:
    """The faults as the planner gets them back."""
    return tuple(f"{number}. {fault.message}" for number, fault in enumerate(faults, 1))


def check_plan(
    plan: Plan,
    base_sha: str,
    paths_at_base: frozenset[str],
    forbidden: Callable[[str], str | None],
    sparse: Sequence[str] = (),
) -> tuple[PlanFault, ...]:
    """Everything wrong with the plan, in a stable order; empty for a good one.

    Args:
        paths_at_base: all file paths of the base commit.
        forbidden: why policy forbids touching a path, or None.
        sparse: the folders that the work tree holds; all of the base when there is none.
    """
    return (
        *_check_base(plan, base_sha),
        *_check_ids(plan),
        *_check_order(plan),
        *_check_criteria(plan),
        *_check_files(plan, paths_at_base, forbidden),
        *_check_sparse(plan, paths_at_base, sparse),
    )


def _check_base(plan: Plan, base_sha: str) -> Iterator[PlanFault]:
    if plan.base_sha != base_sha:
        yield PlanFault(f"The plan is for commit {plan.base_sha}, the job starts from {base_sha}.")
    if not plan.steps:
        yield PlanFault("The plan has no step.")


def _check_ids(plan: Plan) -> Iterator[PlanFault]:
    for kind, ids in (
        ("step", [step.id for step in plan.steps]),
        ("criterion", [criterion.id for criterion in plan.acceptance_criteria]),
    ):
        for name, times in Counter(ids).items():
            if times > 1:
                yield PlanFault(f"The {kind} id {name!r} is used {times} times.")


def _check_order(plan: Plan) -> Iterator[PlanFault]:
    known = {step.id for step in plan.steps}
    for step in plan.steps:
        for other in step.depends_on:
            if other not in known:
                yield PlanFault(f"Step {step.id!r} depends on {other!r}, which is no step of the plan.")
    try:
        TopologicalSorter({step.id: step.depends_on for step in plan.steps}).prepare()
    except CycleError as error:
        yield PlanFault(f"The steps depend on each other in a circle: {' → '.join(error.args[1])}.")


def _check_criteria(plan: Plan) -> Iterator[PlanFault]:
    declared = [criterion.id for criterion in plan.acceptance_criteria]
    if not declared:
        yield PlanFault("The plan has no acceptance criterion.")
    covered = {name for step in plan.steps for name in step.criteria}
    for name in declared:
        if name not in covered:
            yield PlanFault(f"No step covers the criterion {name!r}.")
    for name in sorted(covered - set(declared)):
        yield PlanFault(f"A step names the criterion {name!r}, which the plan does not declare.")


def _check_files(
    plan: Plan, paths_at_base: frozenset[str], forbidden: Callable[[str], str | None]
) -> Iterator[PlanFault]:
    existing = set(paths_at_base)
    for step in _in_order(plan):
        for file in step.files:
            yield from _check_file(step.id, file, existing)
            if file.op is PlannedOp.CREATE:
                existing.add(file.path)
            elif file.op is PlannedOp.DELETE:
                existing.discard(file.path)
            if reason := forbidden(file.path):
                yield PlanFault(f"Step {step.id!r} touches {file.path!r}: {reason}", forbidden=file.path)


def _check_sparse(plan: Plan, paths_at_base: frozenset[str], sparse: Sequence[str]) -> Iterator[PlanFault]:
    laid = Sparse(sparse, paths_at_base)
    for step in plan.steps:
        for file in step.files:
            if laid.in_the_way(file.path):
                yield PlanFault(
                    f"Step {step.id!r} touches {file.path!r}, which is outside of the work tree: checkout.sparse of "
                    f"{FILE_NAME} lays out {', '.join(sparse)} only. Plan within these folders."
                )


def _in_order(plan: Plan) -> list[PlanStep]:
    """The steps as they will be done; as they stand when they depend on each other in a circle."""
    by_id = {step.id: step for step in plan.steps}
    try:
        order = list(TopologicalSorter({step.id: step.depends_on for step in plan.steps}).static_order())
    except CycleError:
        return list(plan.steps)
    return [by_id[name] for name in order if name in by_id]


def _check_file(step: str, file: PlannedFile, existing: Set[str]) -> Iterator[PlanFault]:
    parts = file.path.split("/")
    if file.path.startswith("/") or {"", ".", ".."} & set(parts) or ".git" in (part.lower() for part in parts):
        yield PlanFault(f"Step {step!r} names {file.path!r}, which is no path inside the repository.")
    elif file.op is not PlannedOp.CREATE:
        if file.path not in existing:
            yield PlanFault(f"Step {step!r} would {file.op.value} {file.path!r}, which does not exist by then.")
    elif file.path in existing:
        yield PlanFault(f"Step {step!r} creates {file.path!r}, which exists already.")
    elif any(path.startswith(f"{file.path}/") for path in existing):
        yield PlanFault(f"Step {step!r} creates {file.path!r}, which is a folder.")
    elif above := next((str(parent) for parent in PurePosixPath(file.path).parents if str(parent) in existing), None):
        yield PlanFault(f"Step {step!r} creates {file.path!r}, but {above!r} is a file.")
