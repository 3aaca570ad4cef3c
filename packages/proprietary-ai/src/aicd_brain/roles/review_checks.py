"""What a review must be like to count, checked in code. Pure."""

from collections import Counter
from collections.abc import Iterator

from aicd_brain.roles.convergence import PLATFORM
from aicd_core.contracts import (
    CriterionResult,
    Evidence,
    FileOp,
    Plan,
    PolicyVerdict,
    Review,
    ReviewFinding,
    ReviewVerdict,
)

MAX_FINDINGS = 6
NEAR = 3
"""Lines between a finding and the nearest line that was added: what was removed is shown by its neighbours."""


def tests_failed(plan: Plan, evidence: Evidence) -> Review | None:
    """The review of a round whose commands did not pass, for which no model needs to be asked; None when they did."""
    failure = evidence.tests.first_failure()
    if failure is None:
        return None
    told = f"`{failure.command}`, run by the platform, did not pass: {failure.outcome()}."
    return Review(
        verdict=ReviewVerdict.REJECT,
        findings=(ReviewFinding(id=PLATFORM, severity="high", message=told),),
        criteria=tuple(
            CriterionResult(id=one.id, met=False, evidence=f"Not judged: {told}") for one in plan.acceptance_criteria
        ),
    )


def faults_of(review: Review, plan: Plan, evidence: Evidence) -> list[str]:
    """Everything in which the review contradicts itself, its rules or what was measured."""
    return [*_criteria(review, plan), *_findings(review, evidence), *_verdict(review, evidence)]


def _criteria(review: Review, plan: Plan) -> Iterator[str]:
    wanted = [criterion.id for criterion in plan.acceptance_criteria]
    judged = Counter(result.id for result in review.criteria)
    for name in wanted:
        if judged[name] != 1:
            yield f"The criterion {name!r} is judged {judged[name]} times; judge each exactly once."
    for name in sorted(judged.keys() - set(wanted)):
        yield f"The plan has no criterion {name!r}."
    for result in review.criteria:
        if not result.evidence.strip():
            yield f"The judgement of {result.id!r} gives no evidence."


def _findings(review: Review, evidence: Evidence) -> Iterator[str]:
    if len(review.findings) > MAX_FINDINGS:
        yield f"There are {len(review.findings)} findings; give the {MAX_FINDINGS} gravest."
    for name, times in Counter(finding.id for finding in review.findings).items():
        if times > 1:
            yield f"{times} findings have the id {name!r}; one for each cause."
    deleted = {file.path for file in evidence.change_set.files if file.op is FileOp.DELETE}
    touched = evidence.change_set.paths()
    added: dict[str, list[int]] = {}
    for line in evidence.change_set.added():
        added.setdefault(line.path, []).append(line.line)
    for finding in review.findings:
        if finding.path not in touched:
            yield f"The finding {finding.id!r} is at {finding.path!r}, which this change does not touch."
        elif finding.path in added and finding.path not in deleted and not _is_near(finding, added[finding.path]):
            yield f"The finding {finding.id!r} is at line {finding.line}, which this change did not add or modify."


def _is_near(finding: ReviewFinding, lines: list[int]) -> bool:
    at = finding.line
    return at is not None and any(abs(line - at) <= NEAR for line in lines)


def _verdict(review: Review, evidence: Evidence) -> Iterator[str]:
    unmet = [result.id for result in review.criteria if not result.met]
    must_fix = [finding.id for finding in review.findings if finding.must_fix]
    if review.verdict is ReviewVerdict.APPROVE:
        if unmet:
            yield f"It approves, although {', '.join(unmet)} is not met."
        if must_fix:
            yield f"It approves, although {', '.join(must_fix)} must be fixed."
        if evidence.policy.verdict is PolicyVerdict.DENY:
            yield "It approves what policy denies."
    elif review.verdict is ReviewVerdict.REJECT and not unmet and not must_fix:
        yield "It rejects, although every criterion is met and nothing must be fixed."
