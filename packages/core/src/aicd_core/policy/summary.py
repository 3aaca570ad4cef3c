"""A policy report rule by rule."""

from aicd_core.contracts.evidence import PolicyReport, PolicyVerdict
from aicd_core.policy.rules import strictest


def verdict_of_each_rule(report: PolicyReport) -> dict[str, PolicyVerdict]:
    """The strictest finding of every rule that was evaluated, by the rule's id; `allow` of one that found nothing."""
    rules = sorted({*report.evaluated, *(finding.rule for finding in report.findings)})
    return {rule: strictest(*(f.verdict for f in report.findings if f.rule == rule)) for rule in rules}
