"""The published JSON schema says what the parser says."""

import json
from pathlib import Path

import jsonschema
import pytest

from aicd_core.contracts.config import PolicySettings, RepositoryConfig, RuleSettings
from aicd_core.errors import InvalidInputError
from aicd_core.policy import DEFAULT_RULES, RuleVerdicts, effective_rules
from aicd_core.policy.checks import CHECKS
from aicd_core.repo_config import json_schema, parse_repository_config

PUBLISHED = Path(__file__).parents[3] / "docs" / "aicd.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def test_the_schema_is_a_valid_schema_of_its_dialect():
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_published_schema_is_the_models_own():
    assert PUBLISHED.read_text() == json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", (
        "docs/aicd.schema.json is out of date; write json_schema() to it as this test formats it"
    )


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"version": 1},
        {"setup": [], "tests": []},
        {"tests": ["make test", "a\nb"], "command_timeout": 1, "plan_approval": "always"},
        {"command_timeout": 3600},
        {"policy": {}},
        {"policy": {"protected_paths": ["a/**", "*.pem", "é"], "max_files": 1, "max_file_bytes": 10**9}},
        {"policy": {"rules": {"secret": "deny", "size": "ask"}}},
        {"network": {}},
        {"network": {"setup": ["pypi.org", "*.pythonhosted.org"], "coding": ["a.b-c.example.com"]}},
    ],
)
def test_what_the_parser_takes_the_schema_takes(value: dict[str, object]):
    parsed = parse_repository_config(json.dumps(value).encode())
    assert VALIDATOR.is_valid(value)
    assert RepositoryConfig.model_validate_json(parsed.model_dump_json()) == parsed


@pytest.mark.parametrize(
    "value",
    [
        [],
        "tests",
        {"test": []},
        {"version": 2},
        {"version": True},
        {"version": "1"},
        {"tests": None},
        {"tests": "make"},
        {"tests": [1]},
        {"tests": [""]},
        {"tests": [" \n"]},
        {"tests": ["a\0b"]},
        {"tests": ["x" * 8193]},
        {"setup": ["x"] * 51},
        {"command_timeout": 0},
        {"command_timeout": 3601},
        {"command_timeout": "30"},
        {"plan_approval": False},
        {"policy": None},
        {"policy": {"max_files": 0}},
        {"policy": {"max_files": 1.5}},
        {"policy": {"max_files": None}},
        {"policy": {"max_file": 1}},
        {"policy": {"protected_paths": ["!a"]}},
        {"policy": {"protected_paths": ["a[b]"]}},
        {"policy": {"protected_paths": ["a" * 501]}},
        {"policy": {"rules": {"secret": "allow"}}},
        {"policy": {"rules": {"secrets": "deny"}}},
        {"network": ["pypi.org"]},
        {"network": {"setup": ["127.0.0.1"]}},
        {"network": {"setup": ["[::1]"]}},
        {"network": {"setup": ["localhost"]}},
        {"network": {"setup": ["*"]}},
        {"network": {"setup": ["*.com"]}},
        {"network": {"setup": ["pypi.org:8080"]}},
        {"network": {"setup": ["https://pypi.org"]}},
        {"network": {"setup": ["PyPI.org"]}},
        {"network": {"review": ["pypi.org"]}},
    ],
)
def test_what_the_parser_refuses_the_schema_refuses(value: object):
    assert not VALIDATOR.is_valid(value)
    with pytest.raises(InvalidInputError):
        parse_repository_config(json.dumps(value).encode())


def test_every_key_is_described():
    schema = json_schema()
    for part in (schema, *schema["$defs"].values()):
        assert all("description" in entry for entry in part["properties"].values())


def test_the_guide_shows_a_valid_file_and_names_every_rule():
    guide = PUBLISHED.with_name("configuration.md").read_text()
    example = guide.split("```yaml\n")[1].split("```")[0]
    assert parse_repository_config(example.encode()).policy.max_files == 30
    for rule in RuleSettings.model_fields:
        assert f"| `{rule}` | {getattr(RuleVerdicts(), rule).value} |" in guide
    for key in PolicySettings.model_fields.keys() - {"rules"}:
        assert f"| `policy.{key}` |" in guide


def test_every_example_of_the_guide_can_be_used_and_every_policy_in_it_tightens_something():
    guide = PUBLISHED.with_name("configuration.md").read_text()
    examples = [part.split("```")[0] for part in guide.split("```yaml\n")[1:]]
    assert any("policy:" in example for example in examples)
    for example in examples:
        parsed = parse_repository_config(example.encode())
        assert ("policy:" in example) == (effective_rules(DEFAULT_RULES, parsed.policy) != DEFAULT_RULES)


def test_every_rule_of_the_engine_can_be_tightened():
    assert set(RuleSettings.model_fields) == set(RuleVerdicts.model_fields) == set(CHECKS)
