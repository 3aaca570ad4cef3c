"""Finding diffs in the fenced blocks of an issue."""

import pytest

from aicd_core.patches import extract_patches

DIFF = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"


@pytest.mark.parametrize(
    ("opener", "closer"),
    [
        ("```diff", "```"),
        ("```patch", "```"),
        ("``` Diff title=x", "```"),
        ("~~~diff", "~~~"),
        ("~~~~ diff", "~~~~~"),
        ("`````diff", "`````  "),
        ("  ```diff", "   ```"),
    ],
)
def test_a_block_of_any_fence_is_found(opener: str, closer: str) -> None:
    assert extract_patches(f"Please:\n\n{opener}\n{DIFF}{closer}\nThanks") == (DIFF,)


def test_blocks_come_in_order_and_other_languages_are_left_out() -> None:
    second = DIFF.replace("x", "y")
    text = f"```diff\n{DIFF}```\n```python\n{DIFF}```\n```\n{DIFF}```\n~~~patch\n{second}~~~\n"
    assert extract_patches(text) == (DIFF, second)


def test_a_fence_quoted_in_another_block_opens_nothing() -> None:
    assert extract_patches(f"````text\n```diff\n{DIFF}```\n````\n") == ()


@pytest.mark.parametrize("fence", [" ```", "   ```", "+```", "-```diff"])
def test_a_fence_inside_a_hunk_closes_nothing(fence: str) -> None:
    counts = {"+": "-1 +1,2", "-": "-1,2 +1", " ": "-1,2 +1,2"}[fence[0]]
    diff = f"--- a/x.md\n+++ b/x.md\n@@ {counts} @@\n-a\n{fence}\n+b\n"
    assert extract_patches(f"```diff\n{diff}```\nend\n```diff\n{DIFF}```") == (diff, DIFF)


def test_a_shorter_fence_closes_nothing() -> None:
    assert extract_patches(f"````diff\n```\n{DIFF}````\n") == (f"```\n{DIFF}",)


def test_a_fence_indented_by_four_is_not_a_fence() -> None:
    assert extract_patches(f"    ```diff\n{DIFF}") == ()


def test_an_unclosed_block_runs_to_the_end() -> None:
    assert extract_patches(f"```diff\n{DIFF}") == (DIFF,)
    assert extract_patches(f"```diff\n{DIFF.removesuffix(chr(10))}") == (DIFF,)


def test_a_hunk_cut_short_still_ends_at_the_fence() -> None:
    cut = "--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n-a\n+b\n"
    assert extract_patches(f"```diff\n{cut}```\n```diff\n{DIFF}```\n") == (cut, DIFF)


def test_crlf_transport_takes_one_cr_from_each_line() -> None:
    crlf_file = "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a\r\n+b\r\n \r\n"
    sent = f"Text\n\n```diff\n{crlf_file}```\nMore\n".replace("\n", "\r\n")
    assert extract_patches(sent) == (crlf_file,)


def test_an_lf_issue_keeps_the_cr_of_a_crlf_file() -> None:
    crlf_file = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\r\n+b\r\n"
    assert extract_patches(f"```diff\n{crlf_file}```\n") == (crlf_file,)


def test_a_block_indented_with_its_fence_is_taken_back() -> None:
    indented = "".join(f"  {line}\n" for line in DIFF.splitlines())
    assert extract_patches(f"* this:\n\n  ```diff\n{indented}  ```\n") == (DIFF,)


def test_an_indented_fence_leaves_content_alone_that_is_not_indented() -> None:
    diff = "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n   context\n-a\n+b\n"
    assert extract_patches(f"  ```diff\n{diff}  ```\n") == (diff,)


def test_a_diff_hidden_in_an_html_comment_is_not_carried_out() -> None:
    hidden = f"<!--\n```diff\n{DIFF}```\n-->\n"
    assert extract_patches(hidden) == ()
    assert extract_patches(f"{hidden}<!-- note -->\n```diff\n{DIFF}```\n") == (DIFF,)


def test_an_arrow_in_a_diff_is_not_the_end_of_a_comment() -> None:
    diff = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-<!-- a\n+b -->\n"
    assert extract_patches(f"```diff\n{diff}```\n") == (diff,)


def test_many_blocks_take_linear_time() -> None:
    assert len(extract_patches("```diff\n```\n" * 200_000)) == 200_000
