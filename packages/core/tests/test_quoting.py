"""Text from outside that is shown where it must not act."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aicd_core.orchestrator.quoting import defused, fenced, quoted

INVISIBLE = "\u200b"


@pytest.mark.parametrize(
    "text",
    [
        "fixes #3",
        "Closes: acme/shop#12",
        "resolve GH-7",
        "resolve gh-7",
        "@someone, look",
        "@acme/team",
        "fix https://github.com/acme/shop/issues/3",
        "https://github.com/acme/shop/pull/3",
    ],
)
def test_what_would_act_looks_the_same_and_does_not(text: str):
    safe = defused(text)
    assert safe != text
    assert safe.replace(INVISIBLE, "") == text
    assert defused(safe) == safe


@pytest.mark.parametrize("text", ["a@", "# Title", "issue 3", "a # 3", "/issues/new"])
def test_what_does_not_act_is_left_alone(text: str):
    assert defused(text) == text


def test_a_quoted_line_opens_no_html_and_is_one_line():
    assert quoted("a\n<!-- b -->\n@c", 100) == f"a &lt;!-- b --> @{INVISIBLE}c"


@given(st.text(alphabet="`~ab\n @#", max_size=200))
def test_a_block_of_code_cannot_be_ended_from_inside(text: str):
    first, *inside, last = fenced(text, 1000).split("\n")
    fence = first.removesuffix("text")
    assert last == fence
    assert set(fence) == {"`"}
    assert not any(line.strip().startswith(fence) for line in inside)


def test_a_block_is_cut():
    assert len(fenced("x" * 5000, 100)) < 200
