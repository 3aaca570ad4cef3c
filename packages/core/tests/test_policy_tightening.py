"""A repository may tighten its organisation's rules, never loosen them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aicd_core.contracts import PolicyVerdict
from aicd_core.contracts.config import PolicySettings, RuleSettings
from aicd_core.errors import InvalidInputError
from aicd_core.policy import DEFAULT_RULES, Rules, RuleVerdicts, effective_rules, protection_reason, strictest

ORDER = {PolicyVerdict.ALLOW: 0, PolicyVerdict.ASK: 1, PolicyVerdict.DENY: 2}


def test_a_repository_that_says_nothing_gets_its_organisations_rules():
    assert effective_rules(DEFAULT_RULES, PolicySettings()) == DEFAULT_RULES


def test_protected_paths_add_up_limits_fall_and_verdicts_rise():
    repo = PolicySettings(
        protected_paths=("db/**", "/.aicd.yml"), max_files=5, max_added_lines=50, rules=RuleSettings(tests_red="deny")
    )
    rules = effective_rules(DEFAULT_RULES, repo)
    assert rules.protected_paths == (*DEFAULT_RULES.protected_paths, "db/**")
    assert (rules.max_files, rules.max_added_lines) == (5, 50)
    assert rules.max_file_bytes == DEFAULT_RULES.max_file_bytes
    assert rules.verdicts == RuleVerdicts(tests_red=PolicyVerdict.DENY)


@pytest.mark.parametrize("name", ["max_files", "max_added_lines", "max_file_bytes"])
def test_raising_a_limit_is_refused_by_name(name: str):
    higher = getattr(DEFAULT_RULES, name) + 1
    with pytest.raises(InvalidInputError) as caught:
        effective_rules(DEFAULT_RULES, PolicySettings.model_validate({name: higher}))
    assert caught.value.code == "invalid_config"
    assert f"key policy.{name}: {higher:,} is looser than the organisation's {higher - 1:,}" in caught.value.message


def test_loosening_a_verdict_is_refused_with_a_way_out():
    with pytest.raises(InvalidInputError) as caught:
        effective_rules(DEFAULT_RULES, PolicySettings(rules=RuleSettings(secret="ask")))
    assert caught.value.message == (
        ".aicd.yml, key policy.rules.secret: ask is looser than the organisation's deny. A repository may only tighten "
        "it: take the key out, or have the organisation's rules changed."
    )


def test_repeating_what_the_organisation_says_is_no_loosening():
    repo = PolicySettings(max_files=100, rules=RuleSettings(secret="deny", size="ask"))
    assert effective_rules(DEFAULT_RULES, repo) == DEFAULT_RULES


def test_the_strictest_of_no_verdicts_allows():
    assert strictest() is PolicyVerdict.ALLOW


VERDICTS = st.sampled_from(list(PolicyVerdict))
ORGS = st.builds(
    Rules,
    max_files=st.integers(1, 300),
    verdicts=st.builds(RuleVerdicts, secret=VERDICTS, size=VERDICTS, binary=VERDICTS),
)
REPOS = st.builds(
    PolicySettings,
    max_files=st.none() | st.integers(1, 300),
    protected_paths=st.lists(st.sampled_from(["x", "y/**", "/.aicd.yml"])).map(tuple),
    rules=st.builds(
        RuleSettings, secret=st.sampled_from([None, "ask", "deny"]), binary=st.sampled_from([None, "ask", "deny"])
    ),
)


@given(ORGS, REPOS)
def test_rules_either_get_no_looser_anywhere_or_are_refused(org: Rules, repo: PolicySettings):
    try:
        rules = effective_rules(org, repo)
    except InvalidInputError:
        return
    assert set(rules.protected_paths) == {*org.protected_paths, *repo.protected_paths}
    assert rules.max_files <= org.max_files
    for name in RuleVerdicts.model_fields:
        assert ORDER[getattr(rules.verdicts, name)] >= ORDER[getattr(org.verdicts, name)]
    assert effective_rules(rules, repo) == rules


def test_why_a_path_is_protected_can_be_asked_before_anything_is_written():
    rules = effective_rules(DEFAULT_RULES, PolicySettings(protected_paths=("db/**",)))
    assert "CI runs with the repository's secrets" in (protection_reason(".github/workflows/a.yml", rules) or "")
    assert "the rules of this repository" in (protection_reason("db/1.sql", rules) or "")
    assert protection_reason("src/db.py", rules) is None
