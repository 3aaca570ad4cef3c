"""Loading and filling prompts; faults of files are made by hand, the catalogue itself is the shipped one."""

import dataclasses
import hashlib
import tomllib
from pathlib import Path

import pytest

from aicd_brain.catalogue import MAX_LINE, Prompt, load_prompt, parse_prompt, prompt_names
from aicd_brain.errors import PromptError
from aicd_brain.fence import fence
from aicd_core.errors import ErrorKind

VERSIONS = Path(__file__).with_name("prompt_versions.toml")

GREETING = b"""+++
name = "greeting"
version = 3
role = "coder"

[variables]
round = "int"
sha = "line"
issue = "fenced"
+++

Round {{round}} at {{sha}}, and {{sha}} again:
{{issue}}
"""


@pytest.fixture
def greeting() -> Prompt:
    return parse_prompt("greeting", GREETING)


def test_a_prompt_file_is_read_whole(greeting: Prompt) -> None:
    assert (greeting.name, greeting.version, greeting.role) == ("greeting", 3, "coder")
    assert {v.name: str(v.kind) for v in greeting.variables} == {
        "round": "int",
        "sha": "line",
        "issue": "fenced",
    }
    assert greeting.template == "Round {{round}} at {{sha}}, and {{sha}} again:\n{{issue}}\n"
    assert greeting.sha256 == hashlib.sha256(GREETING).hexdigest()


def test_a_prompt_cannot_be_changed_in_memory(greeting: Prompt) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        greeting.template = "other"  # type: ignore[misc]


def test_each_variable_is_put_in_wherever_it_stands(greeting: Prompt) -> None:
    issue = fence("issue", "broken")
    assert greeting.render(round=2, sha="abc", issue=issue) == f"Round 2 at abc, and abc again:\n{issue}\n"


def test_a_value_is_never_read_as_template(greeting: Prompt) -> None:
    rendered = greeting.render(round=1, sha="{{issue}}", issue=fence("issue", r"{{round}} \1 {{nope}}"))
    assert "Round 1 at {{issue}}, and {{issue}} again" in rendered
    assert r"{{round}} \1 {{nope}}" in rendered


def test_a_missing_variable_is_named(greeting: Prompt) -> None:
    with pytest.raises(PromptError, match="not given its variable issue, sha"):
        greeting.render(round=1)


def test_an_unknown_variable_is_named(greeting: Prompt) -> None:
    with pytest.raises(PromptError, match="has no variable branch"):
        greeting.render(round=1, sha="abc", issue=fence("issue", "x"), branch="main")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("round", "1"),
        ("round", True),
        ("sha", 7),
        ("sha", ""),
        ("sha", "two\nlines"),
        ("sha", "two\u2028lines"),
        ("sha", "hidden\u200b"),
        ("sha", "x" * (MAX_LINE + 1)),
        ("sha", fence("issue", "x")),
        ("issue", "raw text of a stranger"),
        ("issue", 1),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(greeting: Prompt, name: str, value: int | str) -> None:
    values: dict[str, int | str] = {"round": 1, "sha": "abc", "issue": fence("issue", "x"), name: value}
    with pytest.raises(PromptError, match=f"variable {name} must be of kind"):
        greeting.render(**values)


def test_a_refused_value_is_not_repeated_in_the_error(greeting: Prompt) -> None:
    with pytest.raises(PromptError) as caught:
        greeting.render(round=1, sha="abc", issue="text of a stranger")
    assert "stranger" not in str(caught.value)
    assert caught.value.kind is ErrorKind.INTERNAL


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b"+++\nname", b"name", "must begin with a line"),
        (b'"fenced"\n+++\n', b'"fenced"\n', "must begin with a line"),
        (b"version = 3", b"version = ", "header of prompt greeting is wrong"),
        (b"version = 3", b"version = 0", "version"),
        (b"version = 3", b'version = "3"', "version"),
        (b"version = 3\n", b"", "version"),
        (b'role = "coder"', b'role = "boss"', "role"),
        (b'role = "coder"', b'role = "coder"\nmodel = "x"', "model"),
        (b'name = "greeting"', b'name = "farewell"', "calls itself 'farewell'"),
        (b'round = "int"', b'round = "text"', "round"),
        (b'round = "int"\n', b"", "'round' must be both declared and used"),
        (b"{{issue}}", b"the issue", "'issue' must be both declared and used"),
        (b"{{issue}}", b"{{ issue }}", "' issue '"),
        (b"again", b"\xff", "utf-8"),
    ],
)
def test_a_faulty_prompt_file_is_refused_with_the_reason(old: bytes, new: bytes, told: str) -> None:
    faulty = GREETING.replace(old, new)
    assert faulty != GREETING
    with pytest.raises(PromptError, match=told):
        parse_prompt("greeting", faulty)


def test_an_unknown_prompt_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(PromptError, match=r"no prompt '\.\./planner'; there are: coder, .*planner"):
        load_prompt("../planner")


def test_the_hash_is_that_of_the_shipped_file() -> None:
    assert [load_prompt(name).sha256 for name in prompt_names()] == [
        hashlib.sha256((prompts_folder() / f"{name}.md").read_bytes()).hexdigest() for name in prompt_names()
    ]


def test_a_prompt_never_changes_without_a_new_version() -> None:
    recorded = tomllib.loads(VERSIONS.read_text())
    current = {name: load_prompt(name) for name in prompt_names()}
    assert {name: max(map(int, versions)) for name, versions in recorded.items()} == {
        name: prompt.version for name, prompt in current.items()
    }
    assert {name: recorded[name][str(prompt.version)] for name, prompt in current.items()} == {
        name: prompt.sha256 for name, prompt in current.items()
    }


def prompts_folder() -> Path:
    return Path(__file__).parents[1] / "src" / "aicd_brain" / "prompts"
