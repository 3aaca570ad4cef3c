"""Text from outside is safe to show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aicd_core.text import one_line, printable


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_one_line_is_one_line_without_control_characters_and_within_its_limit(text: str, limit: int):
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line.isprintable() or not any(ord(character) < 32 or ord(character) == 127 for character in line)
    assert "\n" not in line


@pytest.mark.parametrize("hidden", ["\x1b[2J", "\u202e", "\u200b", "\U000e0041", "\ufeff", "\x9b"])
def test_hidden_and_control_characters_do_not_reach_a_reader(hidden: str):
    assert hidden not in one_line(f"a{hidden}b")
    assert hidden not in printable(f"a{hidden}b")


def test_printable_keeps_lines_tabs_and_words_of_any_script():
    assert printable("größe\t世界\r\nnext") == "größe\t世界\nnext"


def test_a_cut_is_marked():
    assert one_line("word " * 50, 10) == "word word…"
