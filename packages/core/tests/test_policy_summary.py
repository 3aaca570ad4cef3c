"""A verdict for every rule, those that had nothing to say too."""

from aicd_core.contracts import ChangeSet, Estimate, Plan, PolicyFinding, PolicyReport, PolicyVerdict, Risk, TestReport
from aicd_core.policy import DEFAULT_RULES, RuleVerdicts, evaluate
from aicd_core.policy.summary import verdict_of_each_rule


def finding(rule: str, verdict: PolicyVerdict) -> PolicyFinding:
    return PolicyFinding(rule=rule, verdict=verdict, message="m", remedy="r")


def test_each_rule_has_its_strictest_finding():
    report = PolicyReport(
        verdict=PolicyVerdict.DENY,
        findings=(finding("secret", PolicyVerdict.DENY), finding("secret", PolicyVerdict.ASK)),
        evaluated=("size", "secret", "custom.own"),
    )
    assert verdict_of_each_rule(report) == {"custom.own": "allow", "secret": "deny", "size": "allow"}


def test_every_rule_that_has_a_verdict_is_evaluated():
    change = ChangeSet(base_sha="a" * 40, tree_sha="b" * 40, files=(), patch=b"")
    plan = Plan(
        base_sha="a" * 40,
        problem="p",
        acceptance_criteria=(),
        steps=(),
        risk=Risk(level="low"),
        estimate=Estimate(steps=0, usd=0),
    )
    report = evaluate(change, plan, TestReport(), DEFAULT_RULES, {})
    assert set(verdict_of_each_rule(report)) == set(RuleVerdicts.model_fields)
