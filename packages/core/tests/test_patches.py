"""Reading diffs: git's and plain ones, whatever their names and contents look like."""

import pytest

from aicd_core.errors import InvalidInputError
from aicd_core.patches import AddedLine, FilePatch, PatchError, PatchKind, parse_patch, parse_with_strip


def one(text: str) -> FilePatch:
    (file,) = parse_patch(text)
    return file


def test_a_modified_file_has_its_path_modes_and_hunks() -> None:
    file = one(
        "diff --git a/src/x.py b/src/x.py\nindex 1234567..89abcde 100644\n--- a/src/x.py\n+++ b/src/x.py\n"
        "@@ -1,2 +1,3 @@ def f():\n a\n-b\n+B\n+C\n@@ -9 +10 @@\n-y\n+z\n"
    )
    assert (file.path, file.kind, file.old_mode, file.new_mode) == (
        "src/x.py",
        PatchKind.MODIFY,
        "100644",
        "100644",
    )
    assert [(h.old_start, h.old_count, h.new_start, h.new_count) for h in file.hunks] == [
        (1, 2, 1, 3),
        (9, 1, 10, 1),
    ]
    assert list(file.added_lines()) == [
        AddedLine("src/x.py", 2, "B"),
        AddedLine("src/x.py", 3, "C"),
        AddedLine("src/x.py", 10, "z"),
    ]
    assert (file.added_count, file.removed_count, file.mode_changed) == (3, 2, False)


def test_content_that_looks_like_headers_stays_content() -> None:
    text = (
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,4 +1,4 @@\n"
        "--- a/old\n+++ b/new\n @@ -1 +1 @@\n diff --git a/y b/y\n ```\n"
    )
    file = one(text)
    assert list(file.added_lines()) == [AddedLine("x", 1, "++ b/new")]
    assert file.hunks[0].lines[-1] == " ```"


def test_only_a_line_feed_ends_a_line() -> None:
    odd = "a\rb\x0cc\x1cd\u2028e\x85f\r"
    file = one(f"--- a/x\n+++ b/x\n@@ -0,0 +1,2 @@\n+{odd}\n+end\n")
    assert [line.text for line in file.added_lines()] == [odd, "end"]


@pytest.mark.parametrize(
    ("header", "path"),
    [
        ('"a/caf\\303\\251.txt" "b/caf\\303\\251.txt"', "café.txt"),
        ("a/with some blanks b/with some blanks", "with some blanks"),
        ('"a/tab\\there" "b/tab\\there"', "tab\there"),
        ('"a/line\\nfeed" "b/line\\nfeed"', "line\nfeed"),
        ('"a/quo\\"te\\\\" "b/quo\\"te\\\\"', 'quo"te\\'),
        ("a/x b/y b/x b/y", "x b/y"),
    ],
)
def test_a_name_is_told_from_the_header_alone(header: str, path: str) -> None:
    file = one(f"diff --git {header}\nold mode 100644\nnew mode 100755\n")
    assert (file.path, file.kind, file.new_mode, file.mode_changed) == (
        path,
        PatchKind.MODIFY,
        "100755",
        True,
    )


def test_empty_files_come_and_go_without_hunks() -> None:
    made, gone = parse_patch(
        "diff --git a/new b/new\nnew file mode 100755\nindex 0000000..e69de29\n"
        "diff --git a/old b/old\ndeleted file mode 100644\nindex e69de29..0000000\n"
    )
    assert (made.kind, made.path, made.new_mode, made.hunks) == (PatchKind.CREATE, "new", "100755", ())
    assert (gone.kind, gone.path, gone.old_mode) == (PatchKind.DELETE, "old", "100644")


def test_renames_and_copies_name_their_source() -> None:
    renamed, copied = parse_patch(
        "diff --git a/old name b/new\nsimilarity index 100%\nrename from old name\nrename to new\n"
        'diff --git "a/\\303\\251" b/f\nsimilarity index 90%\ncopy from "\\303\\251"\ncopy to f\n'
        'index 1234567..1234568 100644\n--- "a/\\303\\251"\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n'
    )
    assert (renamed.kind, renamed.old_path, renamed.path) == (PatchKind.RENAME, "old name", "new")
    assert (copied.kind, copied.old_path, copied.path, copied.added_count) == (PatchKind.COPY, "é", "f", 1)


def test_binary_changes_are_flagged_and_do_not_swallow_what_follows() -> None:
    literal, differ, text = parse_patch(
        "diff --git a/i.png b/i.png\nindex 1234567..1234568 100644\nGIT binary patch\nliteral 3\nKcmZQzU|`^2\n\n"
        "literal 2\nJcmZQz\n\n"
        "diff --git a/j.png b/j.png\nindex 1234567..1234568 100644\nBinary files a/j.png and b/j.png differ\n"
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
    )
    assert (literal.path, literal.binary) == ("i.png", True)
    assert (differ.path, differ.binary) == ("j.png", True)
    assert (text.path, text.binary, text.added_count) == ("x", False, 1)


def test_a_missing_newline_at_the_end_is_part_of_the_lines() -> None:
    hunk = one(
        "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n"
    ).hunks[0]
    assert (hunk.old_lines(), hunk.new_lines()) == (["a"], ["b"])


def test_a_newline_added_at_the_end_shows_on_one_side_only() -> None:
    hunk = one("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n").hunks[0]
    assert (hunk.old_lines(), hunk.new_lines()) == (["a"], ["a\n"])


def test_an_empty_context_line_may_have_lost_its_blank() -> None:
    hunk = one("--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\n\n-b\n+c\n").hunks[0]
    assert hunk.old_lines() == ["a\n", "\n", "b\n"]


def test_a_mail_around_the_diff_is_skipped() -> None:
    file = one(
        "From 1234 Mon Sep 17 00:00:00 2001\nSubject: [PATCH] x\n\n---\n x | 2 +-\n\n"
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n-- \n2.39.2\n\n"
    )
    assert file.path == "x"


def test_a_plain_diff_with_time_stamps_is_read() -> None:
    changed, made, gone = parse_patch(
        "diff -ruN old/x new/x\n--- old/x\t2020-01-01 10:00:00.000000000 +0100\n"
        "+++ new/x\t2020-01-02 10:00:00.000000000 +0100\n@@ -1 +1 @@\n-a\n+b\n"
        "--- old/y\t1970-01-01 01:00:00.000000000 +0100\n+++ new/y\t2020-01-02 10:00:00 +0100\n@@ -0,0 +1 @@\n+n\n"
        "--- old/z\t2020-01-02 10:00:00 +0100\n+++ new/z\t1970-01-01 00:00:00 +0000\n@@ -1 +0,0 @@\n-n\n"
    )
    assert (changed.path, changed.kind) == ("x", PatchKind.MODIFY)
    assert (made.path, made.kind) == ("y", PatchKind.CREATE)
    assert (gone.path, gone.kind) == ("z", PatchKind.DELETE)


@pytest.mark.parametrize(
    ("text", "level", "path"),
    [
        ("diff --git src/x.py src/x.py\n--- src/x.py\n+++ src/x.py\n@@ -1 +1 @@\n-a\n+b\n", 0, "src/x.py"),
        ("--- x.py\n+++ x.py\n@@ -1 +1 @@\n-a\n+b\n", 0, "x.py"),
        ("--- src/x.py.orig\n+++ src/x.py\n@@ -1 +1 @@\n-a\n+b\n", 0, "src/x.py"),
        ("--- /dev/null\n+++ src/x.py\n@@ -0,0 +1 @@\n+b\n", 0, "src/x.py"),
        ("--- /dev/null\n+++ b/src/x.py\n@@ -0,0 +1 @@\n+b\n", 1, "src/x.py"),
        ("diff --git c/x w/x\nold mode 100644\nnew mode 100755\n", 1, "x"),
        ("diff --git a.py b.py\nsimilarity index 100%\nrename from a.py\nrename to b.py\n", 0, "b.py"),
        ("diff --git a/a.py b/b.py\nsimilarity index 100%\nrename from a.py\nrename to b.py\n", 1, "b.py"),
        ("--- a/a/x\n+++ b/a/x\n@@ -1 +1 @@\n-a\n+b\n", 1, "a/x"),
    ],
)
def test_prefixes_are_told_from_folders(text: str, level: int, path: str) -> None:
    assert (parse_with_strip(text)[0], one(text).path) == (level, path)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a\n+b\n", 6, "text ends inside the hunk of line 3"),
        ("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a\n+b\nno\n", 6, "fewer lines than its header counts"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n+c\n", 6, "more lines than its header counts"),
        ("--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n+a\n+b\n", 5, "does not hold what its header counts"),
        ("@@ -1 +1 @@\n-a\n+b\n", 1, "without the name of its file"),
        ("diff --git a/x b/x\nindex 1234567..1234568\n", 1, "holds no change"),
        ("diff --git a/x b/x\nold mode 100644\nnew mode rwx\n", 3, "not a file mode"),
        ("diff --git a/x b/y z\nold mode 100644\nnew mode 100755\n", 1, "cannot be told"),
        ('diff --git "a/\\351" "b/\\351"\nold mode 100644\nnew mode 100755\n', 1, "not UTF-8"),
        ('diff --git "a/x\nold mode 100644\nnew mode 100755\n', 1, "no closing quote"),
        ('diff --git "a/\\q" "b/\\q"\nold mode 100644\nnew mode 100755\n', 1, "unknown escape"),
        ("--- /dev/null\n+++ /dev/null\n@@ -0,0 +1 @@\n+b\n", 1, "both sides"),
        ("diff --git a/x b/x\nsimilarity index 100%\nrename from x\n", 1, "cannot be told"),
    ],
)
def test_a_broken_diff_is_refused_with_the_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(PatchError) as caught:
        parse_patch(text)
    assert (caught.value.line, caught.value.code) == (line, "malformed_patch")
    assert problem in caught.value.message
    assert f"at its line {line}" in caught.value.message
    assert isinstance(caught.value, InvalidInputError)


def test_text_without_a_diff_holds_no_change() -> None:
    assert parse_patch("just words\n--- not a header\n") == ()
    assert parse_patch("") == ()


def test_a_huge_header_line_costs_no_time() -> None:
    with pytest.raises(PatchError, match="too long"):
        parse_patch(f"diff --git {'a ' * 4_000_000}\nold mode 100644\nnew mode 100755\n")
