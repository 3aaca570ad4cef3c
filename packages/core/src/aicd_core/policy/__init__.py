"""The policy engine: what of a change is allowed, needs a person, or is refused."""

from aicd_core.policy.checks import protection_finding, protection_reason
from aicd_core.policy.engine import MAX_FINDINGS_PER_RULE, evaluate
from aicd_core.policy.rules import DEFAULT_RULES, Rules, RuleVerdicts, effective_rules, strictest

__all__ = [
    "DEFAULT_RULES",
    "MAX_FINDINGS_PER_RULE",
    "RuleVerdicts",
    "Rules",
    "effective_rules",
    "evaluate",
    "protection_finding",
    "protection_reason",
    "strictest",
]
