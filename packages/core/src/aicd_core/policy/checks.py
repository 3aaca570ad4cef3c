"""The rules: each looks at one thing and says what it objects to."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from aicd_core.contracts.change import ChangeSet, FileChange, FileOp
from aicd_core.contracts.evidence import CommandResult, PolicyFinding, PolicyVerdict, TestReport
from aicd_core.contracts.plan import Plan
from aicd_core.policy.conventions import is_test_file
from aicd_core.policy.globs import first_match
from aicd_core.policy.protected import REASONS
from aicd_core.policy.rules import HARD_LIMIT_FACTOR, Rules
from aicd_core.policy.secrets import SecretHit, find_secrets
from aicd_core.text import one_line

SYMLINK_MODE = "120000"
"""git's mode of a symbolic link."""
SUBMODULE_MODE = "160000"
"""git's mode of a commit of another repository."""


@dataclass(frozen=True)
class Case:
    """What is judged, and by what; `hits` are the credentials in its added lines, searched for once."""

    change: ChangeSet
    plan: Plan
    tests: TestReport
    rules: Rules
    hits: tuple[SecretHit, ...]

    @classmethod
    def of(cls, change: ChangeSet, plan: Plan, tests: TestReport, rules: Rules) -> "Case":
        return cls(change, plan, tests, rules, tuple(find_secrets(change.added())))


@dataclass(frozen=True)
class Objection:
    """One thing that a rule objects to. `verdict` is set only where it is stricter than the rule's own."""

    message: str
    remedy: str
    path: str | None = None
    line: int | None = None
    verdict: PolicyVerdict = PolicyVerdict.ALLOW


Check = Callable[[Case], Iterator[Objection]]


def shown(text: str) -> str:
    """Text from strangers, safe within a sentence: one line in back-quotes, cut when it is long."""
    quoted = one_line(text.replace("`", "'"), 200)
    return f"`{quoted}`"


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


def _protected_path(case: Case) -> Iterator[Objection]:
    for path in case.change.paths():
        reason = protection_reason(path, case.rules)
        if reason is not None:
            yield Objection(reason, BY_HAND, path)


def _size(case: Case) -> Iterator[Objection]:
    files, rules = case.change.files, case.rules
    lines = sum(file.added_lines for file in files)
    split = "Split the issue into smaller ones, or keep generated files out of the change."
    yield from _over(len(files), rules.max_files, "The change touches {} files", split)
    yield from _over(lines, rules.max_added_lines, "The change adds {} lines", split)
    for file in files:
        keep_out = "Keep the file out of the repository, or store it elsewhere and refer to it."
        yield from _over(file.new_size or 0, rules.max_file_bytes, "The file has {} bytes", keep_out, file.path)


def _over(count: int, limit: int, said: str, remedy: str, path: str | None = None) -> Iterator[Objection]:
    hard = limit * HARD_LIMIT_FACTOR
    if count > hard:
        message = f"{said.format(f'{count:,}')}, more than the {hard:,} above which a change is refused."
        yield Objection(message, remedy, path, verdict=PolicyVerdict.DENY)
    elif count > limit:
        yield Objection(f"{said.format(f'{count:,}')}, more than the {limit:,} that pass unasked.", remedy, path)


def _secret(case: Case) -> Iterator[Objection]:
    for hit in case.hits:
        if hit.certain:
            yield Objection(
                f"This added line holds {hit.kind}.",
                "Read it from the environment or a secret store. If it is a real one, revoke it now: the model and "
                "the job's log have seen it. If a test needs one of this shape, put it together at run time.",
                hit.path,
                hit.line,
            )


def _possible_secret(case: Case) -> Iterator[Objection]:
    for hit in case.hits:
        if not hit.certain:
            yield Objection(
                f"This added line holds what may be {hit.kind}.",
                "Look at the line: if it is a credential, take it out and revoke it.",
                hit.path,
                hit.line,
            )


def _outside_plan(case: Case) -> Iterator[Objection]:
    for path in case.change.paths() - case.plan.paths():
        yield Objection(
            "The change touches this path, but the plan does not name it.",
            "Name the path in the plan, or leave the file as it is.",
            path,
        )


def _tests_red(case: Case) -> Iterator[Objection]:
    for kind, results in (("set-up", case.tests.setup), ("test", case.tests.tests)):
        yield from (_red(kind, result) for result in results if not result.ok)


def _red(kind: str, result: CommandResult) -> Objection:
    return Objection(
        f"The {kind} command {shown(result.command)} did not pass: {result.outcome()}.",
        "Look at its output in the test report, and mend the change, or the command in .aicd.yml.",
    )


def _tests_deleted(case: Case) -> Iterator[Objection]:
    remedy = "Keep the test, or let a person confirm that what it checked is gone or is checked elsewhere."
    for file in case.change.files:
        if file.op is FileOp.DELETE and is_test_file(file.path):
            yield Objection("This test file is deleted.", remedy, file.path)
        elif file.op is FileOp.MODIFY and is_test_file(file.path) and _is_hollow(file):
            yield Objection("This test file is emptied, or replaced by a link.", remedy, file.path)
        elif file.old_path is not None and is_test_file(file.old_path) and not is_test_file(file.path):
            message = f"This test file is renamed to {shown(file.path)}, which test runners do not collect."
            yield Objection(message, remedy, file.old_path)


def _is_hollow(file: FileChange) -> bool:
    """Nothing is left of what the file held."""
    became_link = file.new_mode == SYMLINK_MODE != file.old_mode
    return became_link or (file.new_size == 0 and file.removed_lines > 0)


def _submodule(case: Case) -> Iterator[Objection]:
    for file in case.change.files:
        if SUBMODULE_MODE in (file.old_mode, file.new_mode):
            yield Objection(
                "This path is a submodule: the change decides what commit of another repository is used here.",
                "Leave submodules as they are; a person makes such a change by hand.",
                file.path,
            )


def _binary(case: Case) -> Iterator[Objection]:
    for file in case.change.files:
        if _brings_binary(file):
            yield Objection(
                "This file is binary: neither the policy nor a reviewer can see in the diff what it holds.",
                "Leave it out, or let a person look at the file itself.",
                file.path,
            )


def _brings_binary(file: FileChange) -> bool:
    return file.binary and file.op is not FileOp.DELETE


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "protected_path": _protected_path,
        "secret": _secret,
        "possible_secret": _possible_secret,
        "outside_plan": _outside_plan,
        "submodule": _submodule,
        "size": _size,
        "binary": _binary,
        "tests_red": _tests_red,
        "tests_deleted": _tests_deleted,
    }
)
"""Every rule by its id, which is also its key in `.aicd.yml` and in `RuleVerdicts`."""
