"""Reading test files of languages without a grammar here, line by line: where a test begins, and what it asserts."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from aicd_core.policy.tampering.model import Assertion, Routine, Strength, TestModule


@dataclass(frozen=True)
class _Family:
    """How one family of languages writes tests: `begin` has the group `name`; `skip` marks one that is not run."""

    begin: re.Pattern[str]
    asserts: re.Pattern[str]
    skip: re.Pattern[str]
    comment: str = "//"


_JAVA = _Family(
    re.compile(r"(?:^|\s)(?:void|fun|Task|func)\s+`?(?P<name>[\w ]+?)`?\s*\("),
    re.compile(r"\b(?:assert\w*|verify|fail|expectThrows|XCT\w+|Should\w*|Assert\.\w+)\s*[(.]"),
    re.compile(r"@(?:Disabled|Ignore)\b|\[Ignore\b|\bSkip\s*=|XCTSkip\b|Assume\.\w+\(false|assumeTrue\(false"),
)
_RUST = _Family(
    re.compile(r"^\s*(?:pub\s+)?(?:async\s+)?fn\s+(?P<name>\w+)\s*\("),
    re.compile(r"\b(?:assert\w*|panic|matches)!\s*\("),
    re.compile(r"#\[ignore"),
)
_RUBY = _Family(
    re.compile(r"^\s*(?:it|specify|scenario|test|xit)\s*\(?\s*[\"'](?P<name>[^\"']+)|^\s*def\s+(?P<other>test_\w+)"),
    re.compile(r"\b(?:expect|assert\w*|refute\w*|should|must_\w+)\b"),
    re.compile(r"^\s*(?:xit|xdescribe|skip|pending)\b|@tag\s+:skip|,\s*skip:"),
    "#",
)
_PHP = _Family(
    re.compile(r"function\s+(?P<name>test\w*)\s*\(|^\s*(?:it|test)\(\s*['\"](?P<other>[^'\"]+)"),
    re.compile(r"\b(?:assert\w*|expect\w*)\s*\("),
    re.compile(r"markTestSkipped|markTestIncomplete|->skip\("),
)
_FAMILIES: Mapping[str, _Family] = MappingProxyType(
    {
        **dict.fromkeys(("java", "kt", "cs", "swift", "scala", "groovy", "cc", "cpp"), _JAVA),
        "rs": _RUST,
        **dict.fromkeys(("rb", "exs", "ex"), _RUBY),
        "php": _PHP,
    }
)
_TRIVIAL = re.compile(
    r"\b(?:assert\w*!?\s*\(\s*true\s*\)|assert(?:True|That)\s*\(\s*true\b|assert_eq!\s*\(\s*(\S+)\s*,\s*\1\s*\)|"
    r"assertEquals\s*\(\s*(\S+)\s*,\s*\2\s*\)|expect\(true\)\.to\b|assert\s+true\b|Assert\.True\s*\(\s*true\s*\))"
)
_LITERAL = re.compile(r"\"[^\"]*\"|'[^']*'|\b\d[\d_.]*\b")
_CALL = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
_LONGEST_LINE = 500
"""Characters of a line that are looked at; a pattern with a back-reference takes quadratic time."""
_MARK_LINES = 3
"""How far above a test its annotations stand."""


def reads(path: str) -> bool:
    """True for a file of a language known here."""
    return path.rsplit(".", 1)[-1] in _FAMILIES


def read_other(path: str, source: str) -> TestModule:
    """The tests of one version of a file, each from the line that begins it to that of the next."""
    family = _FAMILIES[path.rsplit(".", 1)[-1]]
    lines = [text[:_LONGEST_LINE] for text in source.split("\n")]
    begins = [(number, match) for number, text in enumerate(lines) if (match := _begin(family, text))]
    ends = [number for number, _ in begins[1:]] + [len(lines)]
    return TestModule(
        path,
        tuple(
            _routine(family, lines, number, _name(match), end)
            for (number, match), end in zip(begins, ends, strict=True)
            if _is_test(path, lines, number)
        ),
    )


def _begin(family: _Family, text: str) -> re.Match[str] | None:
    return None if text.lstrip().startswith(family.comment) else family.begin.search(text)


def _name(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None)


def _is_test(path: str, lines: list[str], number: int) -> bool:
    """In Rust, tests stand among other functions and are told by their attribute."""
    above = "\n".join(lines[max(0, number - _MARK_LINES) : number])
    return not path.endswith(".rs") or re.search(r"#\[(?:\w+::)*test\b", above) is not None


def _routine(family: _Family, lines: list[str], begin: int, name: str, end: int) -> Routine:
    own = [(number, text) for number, text in enumerate(lines[begin:end], begin + 1) if text.strip()]
    own = [(number, text) for number, text in own if not text.lstrip().startswith(family.comment)]
    marks = [text for text in lines[max(0, begin - _MARK_LINES) : begin] if text.strip().startswith(("@", "#[", "["))]
    skip = next((text.strip() for text in [*marks, *(t for _, t in own)] if family.skip.search(text)), None)
    body = " ".join(" ".join(text.split()) for _, text in own[1:])
    return Routine(
        name=name,
        short=name,
        line=begin + 1,
        collected=True,
        assertions=tuple(_assertions(family, own)),
        skip=skip,
        literals=frozenset(_LITERAL.findall(body)),
        calls=frozenset(_CALL.findall(body)),
        body=body,
    )


def _assertions(family: _Family, lines: list[tuple[int, str]]) -> Iterator[Assertion]:
    for number, text in lines[1:]:
        if family.asserts.search(text):
            strength = Strength.NOTHING if _TRIVIAL.search(text) else Strength.PART
            source = " ".join(text.split())
            yield Assertion(source, strength, number, frozenset(_LITERAL.findall(text)), frozenset(_CALL.findall(text)))
