"""Rules that an organisation or a repository wrote itself."""

from collections.abc import Iterator

from aicd_core.contracts.config import CustomRule
from aicd_core.policy.case import Case, Objection, shown
from aicd_core.policy.globs import first_match
from aicd_core.policy.patterns import compile_pattern


def custom(case: Case, rule: CustomRule) -> Iterator[Objection]:
    """Each added line that has the rule's pattern; without a pattern, each touched path."""
    said = f"{shown(rule.message).strip('`')}"
    if rule.pattern is None:
        for path in case.change.paths():
            if _applies(rule, path):
                yield Objection(said, rule.remedy, path)
        return
    pattern = compile_pattern(rule.pattern)
    for line in case.added:
        if _applies(rule, line.path) and pattern.search(line.text):
            yield Objection(said, rule.remedy, line.path, line.line)


def _applies(rule: CustomRule, path: str) -> bool:
    return first_match(rule.paths, path, ignore_case=True) is not None and (
        first_match(rule.except_paths, path, ignore_case=True) is None
    )
