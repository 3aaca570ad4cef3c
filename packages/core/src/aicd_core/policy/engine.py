"""The policy engine: a pure function from what a change is to what may be done with it."""

from collections.abc import Iterable

from aicd_core.contracts.change import ChangeSet
from aicd_core.contracts.evidence import PolicyFinding, PolicyReport, PolicyVerdict, TestReport
from aicd_core.contracts.plan import Plan
from aicd_core.policy.case import Case, Objection
from aicd_core.policy.checks import CHECKS
from aicd_core.policy.checks.custom import custom
from aicd_core.policy.rules import STRICTNESS, Rules, strictest
from aicd_core.policy.versions import BaseFiles

CUSTOM_PREFIX = "custom."
"""What comes before the id of a rule that an organisation or a repository wrote, so that it is never a built-in's."""

MAX_FINDINGS_PER_RULE = 50
"""More than a person reads; the rest of a rule's findings are counted in one more."""


def evaluate(change: ChangeSet, plan: Plan, tests: TestReport, rules: Rules, base: BaseFiles) -> PolicyReport:
    """Judges a change: `allow`, `ask` (a person decides) or `deny`, by the strictest finding.

    Args:
        base: the contents at the base commit of the files that `paths_to_read(change)` names. What tests assert, and
            what settings and manifests say, is compared with them; the later version comes from the patch.

    Same input, same report, in whatever order the files and results come. Findings are sorted: the strictest
    first, then by rule, path and line; of each rule at most `MAX_FINDINGS_PER_RULE`, and then one that counts
    the others. No finding ever holds a credential that was found.
    """
    case = Case(change, plan, tests, rules, base)
    findings = [
        finding
        for rule, check in CHECKS.items()
        for finding in _capped(_finding(rule, getattr(rules.verdicts, rule), o) for o in check(case))
    ]
    for own in rules.custom:
        least = PolicyVerdict(own.verdict)
        findings += _capped(_finding(CUSTOM_PREFIX + own.id, least, o) for o in custom(case, own))
    findings.sort(key=lambda finding: -STRICTNESS[finding.verdict])
    evaluated = (*CHECKS, *(CUSTOM_PREFIX + own.id for own in rules.custom))
    verdict = strictest(*(f.verdict for f in findings))
    return PolicyReport(verdict=verdict, findings=tuple(findings), evaluated=evaluated)


def _finding(rule: str, least: PolicyVerdict, objection: Objection) -> PolicyFinding:
    return PolicyFinding(
        rule=rule,
        verdict=strictest(least, objection.verdict),
        path=objection.path,
        line=objection.line,
        message=objection.message,
        remedy=objection.remedy,
    )


def _capped(findings: Iterable[PolicyFinding]) -> list[PolicyFinding]:
    """One rule's findings, sorted, without doubles, the strictest kept; what is left out is counted."""
    ordered = sorted(set(findings), key=_order)
    kept, rest = ordered[:MAX_FINDINGS_PER_RULE], ordered[MAX_FINDINGS_PER_RULE:]
    if rest:
        kept.append(_count(rest))
    return kept


def _order(finding: PolicyFinding) -> tuple[int, str, int, str]:
    return (-STRICTNESS[finding.verdict], finding.path or "", finding.line or 0, finding.message)


def _count(rest: list[PolicyFinding]) -> PolicyFinding:
    return PolicyFinding(
        rule=rest[0].rule,
        verdict=rest[0].verdict,
        message=f"Not listed one by one: {len(rest):,} more of this rule.",
        remedy=rest[0].remedy,
    )
