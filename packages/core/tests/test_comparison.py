"""Comparing results: equal or not, and where they first differ."""

from hypothesis import given
from hypothesis import strategies as st

from aicd_core.contracts import Change, ChangeSet, CodedChange, Review, ReviewVerdict
from aicd_core.orchestrator.comparison import compare, compare_values, first_difference, missing

SHA = "a" * 40


@given(st.binary(), st.binary(), st.binary())
def test_the_byte_named_is_the_first_that_differs(common: bytes, one: bytes, other: bytes):
    stored, made = common + one, common + other
    said = first_difference(stored, made)
    if stored == made:
        assert said is None
        return
    assert said is not None
    at = int(said.removeprefix("byte ").partition(",")[0])
    assert stored[:at] == made[:at]
    assert stored[at : at + 1] != made[at : at + 1]


def test_a_difference_shows_line_and_surroundings():
    assert first_difference(b"one\ntwo\n", b"one\ntoo\n") == (r"byte 5, line 2: stored 'one\ntwo\n', made 'one\ntoo\n'")
    assert first_difference(b"one", b"one more") == "byte 3, line 1: stored ends there, made 'one more'"


def test_a_comparison_holds_both_hashes():
    same, other = compare("plan/0", b"x", b"x"), compare("plan/0", b"x", b"y")
    assert same.identical
    assert same.stored_sha256 == same.made_sha256 == other.stored_sha256
    assert not other.identical
    assert other.made_sha256 != other.stored_sha256


def test_what_is_there_on_one_side_only_has_one_hash():
    gone = missing("review/1", b"x", None, "it failed")
    assert gone.stored_sha256 == compare("review/1", b"x", b"x").stored_sha256
    assert (gone.made_sha256, gone.difference, gone.identical) == (None, "it failed", False)


def coded(summary: str, tree: str, patch: bytes) -> CodedChange:
    change_set = ChangeSet(base_sha=SHA, tree_sha=tree, files=(), patch=patch)
    return CodedChange(change=Change(summary=summary), change_set=change_set)


def test_of_a_change_the_claim_the_tree_and_the_patch_are_compared_apart():
    kept = coded("Done.", SHA, b"+one\n")
    for made, differing in (
        (coded("Done.", SHA, b"+one\n"), []),
        (coded("Done!", SHA, b"+one\n"), ["code/1 claim"]),
        (coded("Done.", "b" * 40, b"+one\n"), ["code/1 tree"]),
        (coded("Done.", SHA, b"+two\n"), ["code/1 patch"]),
    ):
        found = list(compare_values("code/1", kept.model_dump_json().encode(), made))
        assert [result.what for result in found] == ["code/1 claim", "code/1 tree", "code/1 patch"]
        assert [result.what for result in found if not result.identical] == differing


def test_an_older_form_of_the_same_value_is_no_difference():
    """A field that has a default now was not there when the value was stored."""
    (found,) = compare_values("review/1", b'{"verdict": "approve"}', Review(verdict=ReviewVerdict.APPROVE))
    assert found.identical
