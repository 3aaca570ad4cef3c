"""Rules on which paths a change touches, and on what it stands."""

from collections.abc import Iterator

from aicd_core.contracts.change import FileChange, FileOp
from aicd_core.contracts.evidence import PolicyFinding, PolicyVerdict
from aicd_core.contracts.plan import PlannedOp
from aicd_core.policy.case import Case, Objection, shown
from aicd_core.policy.globs import first_match
from aicd_core.policy.manifests.files import is_lock_of
from aicd_core.policy.protected import REASONS
from aicd_core.policy.rules import Rules

SYMLINK_MODE = "120000"
"""git's mode of a symbolic link."""
SUBMODULE_MODE = "160000"
"""git's mode of a commit of another repository."""


BY_HAND = "Leave the file as it is; a person makes such a change by hand."


def protection_finding(path: str, reason: str) -> PolicyFinding:
    """What is told of a protected path before there is a change to be judged."""
    return PolicyFinding(rule="protected_path", verdict=PolicyVerdict.DENY, path=path, message=reason, remedy=BY_HAND)


def protection_reason(path: str, rules: Rules) -> str | None:
    """Why no job may touch a path, as a sentence; None when it may."""
    glob = first_match(rules.protected_paths, path, ignore_case=True)
    if glob is None:
        return None
    reason = REASONS.get(glob, "the rules of this repository or its organisation say so")
    return f"This path is protected by the pattern {shown(glob)}: {reason}."


def protected_path(case: Case) -> Iterator[Objection]:
    for path in case.change.paths():
        reason = protection_reason(path, case.rules)
        if reason is not None:
            yield Objection(reason, BY_HAND, path)


def outside_plan(case: Case) -> Iterator[Objection]:
    planned = case.plan.paths()
    for path in case.change.paths() - planned:
        if any(is_lock_of(path, manifest) for manifest in planned):
            continue
        yield Objection(
            "The change touches this path, but the plan does not name it.",
            "Name the path in the plan, or leave the file as it is.",
            path,
        )
    ops = {file.path: file.op for step in case.plan.steps for file in step.files}
    for file in case.change.files:
        if _is_gone_unplanned(file, ops.get(file.path)):
            message = "The change deletes this path, which the plan means to keep."
            yield Objection(message, "Plan the deletion, or keep the file.", file.path)


def _is_gone_unplanned(file: FileChange, planned: PlannedOp | None) -> bool:
    return file.op is FileOp.DELETE and planned is PlannedOp.MODIFY


def submodule(case: Case) -> Iterator[Objection]:
    for file in case.change.files:
        if SUBMODULE_MODE in (file.old_mode, file.new_mode):
            yield Objection(
                "This path is a submodule: the change decides what commit of another repository is used here.",
                "Leave submodules as they are; a person makes such a change by hand.",
                file.path,
            )


def wrong_base(case: Case) -> Iterator[Objection]:
    if case.change.base_sha != case.plan.base_sha:
        yield Objection(
            f"The change was made on commit {case.change.base_sha}, the plan on {case.plan.base_sha}.",
            "Plan again on the commit that the change stands on.",
        )
