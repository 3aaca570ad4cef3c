"""Rules that an organisation or a repository writes itself, as data."""

import pytest
from pydantic import ValidationError

from aicd_core.contracts import ChangeSet, FileChange, FileOp, PolicyFinding, PolicyVerdict, TestReport
from aicd_core.contracts.config import CustomRule, PathLimit, PolicySettings
from aicd_core.errors import InvalidInputError
from aicd_core.policy import DEFAULT_RULES, Rules, effective_rules, evaluate, plan_of
from aicd_core.repo_config import parse_repository_config

NO_PRINT = CustomRule(id="no-print", paths=("src/**",), pattern=r"\bprint\(", message="Print nothing.")


def findings(rules: Rules, path: str, *lines: str) -> tuple[PolicyFinding, ...]:
    body = "".join(f"+{line}\n" for line in lines)
    patch = (
        f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{len(lines)} @@\n"
    )
    file = FileChange(path=path, op=FileOp.CREATE, added_lines=len(lines))
    change = ChangeSet(base_sha="a" * 40, tree_sha="b" * 40, files=(file,), patch=(patch + body).encode())
    return evaluate(change, plan_of(change.files, change.base_sha, "t"), TestReport(), rules, {}).findings


def test_a_pattern_is_looked_for_in_added_lines_of_its_paths():
    rules = Rules(custom=(NO_PRINT,))
    (finding,) = findings(rules, "src/a.py", "x = 1", "print(x)")
    assert (finding.rule, finding.verdict, finding.path, finding.line) == (
        "custom.no-print",
        PolicyVerdict.ASK,
        "src/a.py",
        2,
    )
    assert (finding.message, finding.remedy) == ("Print nothing.", "Do without, or let a person decide.")
    assert findings(rules, "docs/a.py", "print(x)") == ()


def test_paths_can_be_left_out_of_a_rule():
    rules = Rules(custom=(NO_PRINT.model_copy(update={"except_paths": ("src/cli/**",)}),))
    assert findings(rules, "src/cli/a.py", "print(x)") == ()


def test_a_rule_without_a_pattern_asks_for_its_paths():
    rule = CustomRule(id="api", paths=("/openapi.yaml",), verdict="deny", message="Agreed with users.")
    (finding,) = findings(Rules(custom=(rule,)), "openapi.yaml", "a: 1")
    assert (finding.rule, finding.verdict, finding.line) == ("custom.api", PolicyVerdict.DENY, None)


def test_a_pattern_that_would_take_exponential_time_elsewhere_takes_linear_time_here():
    rule = NO_PRINT.model_copy(update={"pattern": r"^(a+)+$"})
    assert findings(Rules(custom=(rule,)), "src/a.py", "a" * 200_000 + "!") == ()


@pytest.mark.parametrize("pattern", ["(a", r"(a)\1", "(?=a)b", "a{1001}"])
def test_a_pattern_that_the_engine_does_not_take_is_refused_by_its_key(pattern: str):
    settings = PolicySettings(custom=(NO_PRINT.model_copy(update={"pattern": pattern}),))
    with pytest.raises(InvalidInputError, match=r"key policy\.custom\[0\]\.pattern") as caught:
        effective_rules(DEFAULT_RULES, settings)
    assert caught.value.code == "invalid_config"
    with pytest.raises(ValidationError, match="no regular expression"):
        Rules(custom=settings.custom)


def test_a_repositorys_rules_come_on_top_of_its_organisations():
    own = CustomRule(id="own", message="Mine.")
    limit = PathLimit(paths=("db/**",), max_files=1)
    org = Rules(custom=(NO_PRINT,), denied_licences=("SSPL-*",))
    rules = effective_rules(org, PolicySettings(custom=(own, NO_PRINT), path_limits=(limit,), denied_licences=("MIT",)))
    assert rules.custom == (NO_PRINT, own)
    assert rules.path_limits == (limit,)
    assert rules.denied_licences == ("SSPL-*", "MIT")


def test_a_repository_cannot_take_the_id_of_its_organisations_rule():
    harmless = NO_PRINT.model_copy(update={"pattern": "never"})
    with pytest.raises(InvalidInputError, match="no-print is a rule already"):
        effective_rules(Rules(custom=(NO_PRINT,)), PolicySettings(custom=(harmless,)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("custom: [{message: m}]", r"key policy.custom[0].id: this key is missing."),
        ("custom: [{id: A, message: m}]", "this must begin with a small letter"),
        ("custom: [{id: a, message: m, paths: []}]", "this must have at least one entry"),
        ("custom: [{id: a, mesage: m}]", "there is no such key; did you mean message?"),
        ("custom: [{id: a, message: m, verdict: allow}]", "this must be 'ask' or 'deny'"),
        ("denied_licences: ['GPL 3']", "this must be an SPDX identifier"),
        ("path_limits: [{paths: [a], max_files: 0}]", "this must be at least 1"),
    ],
)
def test_a_fault_in_a_rule_is_told_with_its_key(text: str, said: str):
    with pytest.raises(InvalidInputError) as caught:
        parse_repository_config(f"policy:\n  {text}\n".encode())
    assert said in caught.value.message
