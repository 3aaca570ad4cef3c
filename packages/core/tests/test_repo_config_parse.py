"""Reading `.aicd.yml`: what is taken, and how each fault is told."""

import pytest
from growth import LINEAR, growth
from hypothesis import given
from hypothesis import strategies as st

from aicd_core.contracts.config import PolicySettings, RepositoryConfig, RuleSettings
from aicd_core.errors import InvalidInputError
from aicd_core.repo_config import parse_repository_config

FULL = b"""\
# How AI-CD works on this repository.
version: 1
setup:
  - pip install -e .
tests:
  - make lint
  - |
    set -e
    make test
command_timeout: 90.5
plan_approval: always
policy:
  protected_paths: ["migrations/**", "*.pem"]
  max_files: 20
  max_added_lines: 800
  max_file_bytes: 65536
  rules: {tests_deleted: deny, binary: "deny"}
"""


def fault(text: str | bytes) -> str:
    with pytest.raises(InvalidInputError) as caught:
        parse_repository_config(text.encode() if isinstance(text, str) else text)
    assert caught.value.code == "invalid_config"
    return caught.value.message


def outcome(text: bytes) -> RepositoryConfig | str:
    """What the text is read as, or the sentence that refuses it."""
    try:
        return parse_repository_config(text)
    except InvalidInputError as error:
        return error.message


def test_a_full_file_is_read_as_written():
    assert parse_repository_config(FULL) == RepositoryConfig(
        setup=("pip install -e .",),
        tests=("make lint", "set -e\nmake test\n"),
        command_timeout=90.5,
        plan_approval="always",
        policy=PolicySettings(
            protected_paths=("migrations/**", "*.pem"),
            max_files=20,
            max_added_lines=800,
            max_file_bytes=65536,
            rules=RuleSettings(tests_deleted="deny", binary="deny"),
        ),
    )


@pytest.mark.parametrize(
    "text", [b"", b"\n\n", b"# nothing yet\n", b"---\n", b"{}", b"version: 1\n", b"\xef\xbb\xbf{}"]
)
def test_a_file_that_says_nothing_gives_the_defaults(text: bytes):
    assert parse_repository_config(text) == RepositoryConfig()


def test_no_tests_and_tests_to_be_detected_are_told_apart():
    assert parse_repository_config(b"tests: []").tests == ()
    assert parse_repository_config(b"setup: []").tests is None


def test_windows_line_ends_and_names_beyond_ascii_are_read():
    config = parse_repository_config("setup:\r\n  - ./bauen größer\r\n".encode())
    assert config.setup == ("./bauen größer",)


def test_a_number_given_whole_is_a_timeout_too():
    assert parse_repository_config(b"command_timeout: 30").command_timeout == 30


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("policy:\n\n  max_files: many\n", ".aicd.yml line 3, key policy.max_files: this must be a whole number."),
        ("policy: {max_files: 0}", ".aicd.yml line 1, key policy.max_files: this must be at least 1."),
        ("policy: {max_files: 1.5}", ".aicd.yml line 1, key policy.max_files: this must be a whole number."),
        ("policy: {max_files: true}", ".aicd.yml line 1, key policy.max_files: this must be a whole number."),
        ("command_timeout: 4000", ".aicd.yml line 1, key command_timeout: this must be at most 3,600."),
        ("command_timeout: .inf", ".aicd.yml line 1, key command_timeout: this must be a finite number."),
        ("tests: make test", ".aicd.yml line 1, key tests: this must be a list; begin each entry with `- `."),
        (
            "tests:\n  - make\n  - 5\n",
            ".aicd.yml line 3, key tests[1]: this must be text; put it in quotes if it looks like a number.",
        ),
        (
            "setup: ['  ']",
            ".aicd.yml line 1, key setup[0]: this must be a command: not blank, and without NUL characters.",
        ),
        (
            'setup: ["a\\0b"]',
            ".aicd.yml line 1, key setup[0]: this must be a command: not blank, and without NUL characters.",
        ),
        ("version: 2", ".aicd.yml line 1, key version: this must be 1."),
        ("version: true", ".aicd.yml line 1, key version: this must be 1."),
        ("version: " + "9" * 50, ".aicd.yml line 1, key version: this number is too large."),
        ("plan_approval: maybe", ".aicd.yml line 1, key plan_approval: this must be 'never' or 'always'."),
        (
            "policy:\n  rules:\n    secret: allow",
            ".aicd.yml line 3, key policy.rules.secret: this must be 'ask' or 'deny'.",
        ),
        ("policy: [a]", ".aicd.yml line 1, key policy: this must be a mapping of keys to values."),
        ("- make test", ".aicd.yml: this must be a mapping of keys to values."),
        ("setup:\ntests: []", ".aicd.yml line 1, key setup: this has no value; give one, or take the key out."),
        ("tests: []\ntest: []", ".aicd.yml line 2, key test: there is no such key; did you mean tests?"),
        (
            "policy:\n  rules:\n    tests_delted: deny",
            ".aicd.yml line 3, key policy.rules.tests_delted: there is no such key; did you mean tests_deleted?",
        ),
        (
            "zzz: 1",
            (
                ".aicd.yml line 1, key zzz: there is no such key; the keys here are version, setup, tests, "
                "command_timeout, plan_approval, network, checkout, policy."
            ),
        ),
        ("tests: []\ntests: []", ".aicd.yml line 2, key tests: the key is there twice, first on line 1."),
        (
            "policy: {max_files: 1, max_files: 1}",
            ".aicd.yml line 1, key policy.max_files: the key is there twice, first on line 1.",
        ),
        ("tests: [a\nsetup: b", ".aicd.yml line 2: this is not YAML: expected ',' or ']', but got ':'."),
        ("a: &x [b]\n", ".aicd.yml line 1: anchors and aliases (& and *) are not taken; write the value out."),
        ("a: b\nc: *x\n", ".aicd.yml line 2: anchors and aliases (& and *) are not taken; write the value out."),
        ("<<: {version: 1}", ".aicd.yml line 1: a key must be plain text."),
        ("1: a", ".aicd.yml line 1: a key must be plain text."),
        (
            "tests: !!python/name:os.system x",
            ".aicd.yml line 1, key tests: the YAML type tag:yaml.org,2002:python/name:os.system is not taken.",
        ),
        ("--- {}\n--- {}\n", ".aicd.yml line 2: this is not YAML: but found another document."),
        (b"a: 1\nb: \xff\n", ".aicd.yml line 2: this is not UTF-8; save the file as UTF-8."),
        (b"#" * 70_000, ".aicd.yml: the file has 70,000 bytes; at most 65,536 are read."),
        ("[" * 30, ".aicd.yml line 1: the value is nested deeper than 20 levels."),
        ("a: [" + "b," * 6000 + "]", ".aicd.yml line 1: the file has more than 5,000 values."),
    ],
)
def test_a_fault_names_line_and_key(text: str | bytes, message: str):
    assert fault(text) == message


@pytest.mark.parametrize("glob", ["!keep", "#x", "a[b]", "a\\b", " a", "", "a\nb"])
def test_patterns_that_would_loosen_or_mislead_are_refused(glob: str):
    message = fault(f"policy:\n  protected_paths:\n    - ok\n    - {glob!r}\n".replace("'", '"'))
    assert message.startswith(".aicd.yml line 4, key policy.protected_paths[1]: this must be a path pattern")


def test_several_faults_are_told_in_their_order_and_the_rest_is_counted():
    lines = fault("\n".join(f"k{n}: 1" for n in range(7))).splitlines()
    assert [line.split(":")[0] for line in lines[:5]] == [f".aicd.yml line {n + 1}, key k{n}" for n in range(5)]
    assert lines[5:] == ["And 2 more of that kind."]


def test_a_terminal_is_not_reached_through_a_key():
    assert "\x1b" not in fault('"\\e[31m": 1')


@pytest.mark.parametrize("unit", ["[", "{", "- ", "? ", "a,"])
def test_a_costly_file_is_refused_soon(unit: str):
    begin = "x: [" if unit == "a," else ""
    assert fault(begin + unit * 30_000)
    assert growth(lambda count: fault(begin + unit * count), 30_000) < LINEAR


YAML_LIKE = st.text(st.sampled_from("ab:-[]{},&*!|>'\"#%@?\\ \n\t0.~<é\x01") | st.characters(), max_size=40)


@given(
    YAML_LIKE | st.sampled_from(["tests: ", "policy: ", "a: "]).flatmap(lambda key: YAML_LIKE.map(lambda v: key + v))
)
def test_any_text_is_read_or_refused_with_a_sentence(text: str):
    result = outcome(text.encode("utf-8", "surrogatepass"))
    assert isinstance(result, RepositoryConfig) or (
        result.startswith(".aicd.yml") and all(line.endswith((".", "?")) for line in result.splitlines())
    )


@pytest.mark.parametrize("text", ["a: !!int", "a: !!float", "a: !!bool x", "a: !!int x", "a: !!null x"])
def test_a_tag_that_does_not_fit_its_value_is_refused(text: str):
    assert fault(text).startswith(".aicd.yml line 1, key a: this ")


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_with_a_sentence(text: bytes):
    result = outcome(text)
    assert isinstance(result, RepositoryConfig) or result.startswith(".aicd.yml")
