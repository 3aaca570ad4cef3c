"""The policy engine: what of a change is allowed, needs a person, or is refused."""

from aicd_core.policy.branches import OWN_BRANCHES, require_own_branch
from aicd_core.policy.checks.paths import protection_finding, protection_reason
from aicd_core.policy.engine import MAX_FINDINGS_PER_RULE, evaluate
from aicd_core.policy.network import Network, bounded
from aicd_core.policy.organization import organization_rules, parse_rules, publish_rules
from aicd_core.policy.past import change_of_patch, plan_of
from aicd_core.policy.protected import PROTECTED_PATHS
from aicd_core.policy.rules import DEFAULT_RULES, Rules, RuleVerdicts, effective_rules, strictest
from aicd_core.policy.versions import BaseFiles, paths_to_read

__all__ = [
    "DEFAULT_RULES",
    "MAX_FINDINGS_PER_RULE",
    "OWN_BRANCHES",
    "PROTECTED_PATHS",
    "BaseFiles",
    "Network",
    "RuleVerdicts",
    "Rules",
    "bounded",
    "change_of_patch",
    "effective_rules",
    "evaluate",
    "organization_rules",
    "parse_rules",
    "paths_to_read",
    "plan_of",
    "protection_finding",
    "protection_reason",
    "publish_rules",
    "require_own_branch",
    "strictest",
]
