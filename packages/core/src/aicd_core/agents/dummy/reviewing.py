"""The review of a change that is known to the letter."""

from collections.abc import Sequence
from typing import Final

from aicd_core.agents.dummy.candidates import Candidate
from aicd_core.agents.dummy.matching import mismatches
from aicd_core.agents.dummy.planning import NO_TESTS, PATCH_APPLIED, TESTS_GREEN
from aicd_core.contracts.change import ChangeSet
from aicd_core.contracts.evidence import CommandResult, Evidence, TestReport
from aicd_core.contracts.plan import Plan
from aicd_core.contracts.review import CriterionResult, Review, ReviewFinding, ReviewVerdict
from aicd_core.patches import PatchError, parse_patch
from aicd_core.text import number_of, one_line

_MOST_FINDINGS: Final = 20
_COMMAND: Final = 200
"""Characters of a command that a sentence names it by; one entry may be a whole script."""
_OUTPUT_TAIL: Final = 2_000
"""Characters of a failing command's output that a finding quotes."""


def make_review(candidate: Candidate, plan: Plan, evidence: Evidence) -> Review:
    """Approves only a change that is exactly the diff, with all declared commands passing.

    The coder's own claim is not looked at: the change set and the test report are what the platform measured.
    """
    patch_findings = _patch_findings(candidate, evidence.change_set)
    test_findings = _test_findings(candidate, evidence.tests)
    findings = (*patch_findings, *test_findings)
    results = {
        PATCH_APPLIED: _patch_result(candidate, evidence.change_set, patch_findings),
        TESTS_GREEN: _tests_result(evidence.tests),
    }
    return Review(
        verdict=ReviewVerdict.REJECT if findings else ReviewVerdict.APPROVE,
        findings=findings,
        criteria=tuple(
            results.get(criterion.id) or CriterionResult(id=criterion.id, met=False, evidence="Not checked.")
            for criterion in plan.acceptance_criteria
        ),
    )


def _patch_findings(candidate: Candidate, change_set: ChangeSet) -> tuple[ReviewFinding, ...]:
    try:
        measured = parse_patch(change_set.patch_text())
    except PatchError as error:
        return (_finding(f"diff-{candidate.number}:unreadable", f"The measured change: {error.message}"),)
    faults = mismatches(candidate.files, measured)
    return tuple(
        _finding(f"diff-{candidate.number}:{fault.kind}:{fault.path}", fault.message, fault.path)
        for fault in faults[:_MOST_FINDINGS]
    )


def _test_findings(candidate: Candidate, tests: TestReport) -> tuple[ReviewFinding, ...]:
    """One finding for all commands that failed: another diff is tried next, whatever their number."""
    failure = tests.first_failure()
    if failure is None:
        return ()
    others = [result for result in (*tests.setup, *tests.tests) if not result.ok and result is not failure]
    also = "".join(f"\nAlso failed: {_ending(result)}." for result in others[:_MOST_FINDINGS])
    message = f"With diff {candidate.number} applied, {_ending(failure)}.{also}\n{_tail(failure.output)}"
    return (_finding(f"diff-{candidate.number}:command-failed", message.rstrip()),)


def _finding(name: str, message: str, path: str | None = None) -> ReviewFinding:
    return ReviewFinding(id=name, severity="high", path=path, message=message)


def _ending(result: CommandResult) -> str:
    return f"`{one_line(result.command, _COMMAND)}` ended with: {result.outcome()}"


def _tail(output: str) -> str:
    text = output.strip()
    return text if len(text) <= _OUTPUT_TAIL else f"…{text[-_OUTPUT_TAIL:]}"


def _patch_result(candidate: Candidate, change_set: ChangeSet, findings: Sequence[ReviewFinding]) -> CriterionResult:
    if findings:
        return CriterionResult(id=PATCH_APPLIED, met=False, evidence=findings[0].message)
    added = sum(file.added_count for file in candidate.files)
    removed = sum(file.removed_count for file in candidate.files)
    evidence = (
        f"The tree {change_set.tree_sha[:12]} is the base with diff {candidate.number} applied in full: "
        f"{number_of(len(candidate.files), 'file')}, {number_of(added, 'line')} added, {removed} removed."
    )
    return CriterionResult(id=PATCH_APPLIED, met=True, evidence=evidence)


def _tests_result(tests: TestReport) -> CriterionResult:
    failure = tests.first_failure()
    if failure is not None:
        return CriterionResult(id=TESTS_GREEN, met=False, evidence=f"{_ending(failure)}.")
    commands = ", ".join(f"`{one_line(result.command, _COMMAND)}`" for result in tests.tests)
    return CriterionResult(id=TESTS_GREEN, met=True, evidence=f"Passed: {commands}." if commands else NO_TESTS)
