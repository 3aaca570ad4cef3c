"""Git's machine output is read exactly, whatever the names in it."""

import pytest

from aicd_core.contracts import FileOp
from aicd_core.errors import StepFailedError
from aicd_github.git.delta import file_changes, parse_batch, parse_delta, parse_sizes, parse_tree
from aicd_github.git.runner import last_words
from aicd_github.git.symlinks import leads_out
from aicd_github.hosting.branches import parse_local_refs, parse_ls_remote
from aicd_github.hosting.pushing import refusal_reason

A, B, ZERO = "a" * 40, "b" * 40, "0" * 40


def test_a_rename_with_strange_names_and_a_binary_file_are_told_apart() -> None:
    output = (
        f':100644 100755 {A} {B} R090\0old\nname\0-new\t"name\0:000000 100644 {ZERO} {B} A\0:1\t2\0'
        '1\t2\t\0old\nname\0-new\t"name\0-\t-\t:1\t2\0\0diff --git a/x b/x\n'
    ).encode()
    delta = parse_delta(output)
    renamed, created = file_changes(delta, {B: 7})
    assert (renamed.op, renamed.old_path, renamed.path) == (FileOp.RENAME, "old\nname", '-new\t"name')
    assert (renamed.added_lines, renamed.removed_lines, renamed.old_mode, renamed.new_mode) == (
        1,
        2,
        "100644",
        "100755",
    )
    assert (created.path, created.binary, created.old_mode, created.new_size) == (":1\t2", True, None, 7)
    assert delta.patch == b"diff --git a/x b/x\n"


def test_no_difference_is_an_empty_delta() -> None:
    delta = parse_delta(b"")
    assert (delta.changes, dict(delta.lines), delta.patch) == ((), {}, b"")


def test_a_name_that_is_not_utf8_is_refused_with_its_bytes() -> None:
    delta = parse_delta(f":000000 100644 {ZERO} {B} A\0".encode() + b"caf\xe9\0" + b"1\t0\tcaf\xe9\0\0diff")
    with pytest.raises(StepFailedError, match=r"caf\\xe9") as caught:
        list(file_changes(delta, {}))
    assert caught.value.code == "path_not_utf8"


def test_a_tree_listing_keeps_foreign_bytes_in_names() -> None:
    entries = parse_tree(f"100644 blob {A}\ta\tb\n".encode() + b"\xe9\0" + f"160000 commit {B}\tsub\0".encode())
    assert entries["a\tb\n\udce9"].sha == A
    assert entries["sub"].mode == "160000"


def test_an_object_that_is_missing_has_no_size() -> None:
    assert parse_sizes(f"{A} 7\n{B} missing\n".encode()) == {A: 7}


def test_a_batch_of_objects_may_hold_line_ends_and_nothing_at_all() -> None:
    output = f"{A} blob 5\nab\ncd\n{B} blob 0\n\n".encode()
    assert parse_batch(output) == {A: b"ab\ncd", B: b""}


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        ("a", "b", False),
        ("d/e/a", "../../b", False),
        ("d/e/a", "../../../b", True),
        ("a", "/etc/passwd", True),
        ("a", "..", True),
        ("a", ".", False),
        ("a", "a", False),
        # `deep` is the folder d/e/f: two steps up from it is d, three the root, four outside.
        ("a", "deep/../../../b", False),
        ("a", "deep/../../../../b", True),
        ("d/a", "abroad/x", False),
        ("d/a", "../abroad/x", True),
    ],
)
def test_where_a_link_leads_is_followed_through_other_links(path: str, target: str, *, out: bool) -> None:
    links = {"deep": "d/e/f", "abroad": "/usr", path: target}
    assert leads_out(path, links) is out


def test_the_checked_out_branch_is_told_from_the_others() -> None:
    branches = parse_local_refs(f" {A} refs/heads/dev/one\n*{B} refs/heads/main")
    assert (branches.current, branches.head_sha, branches.commits) == ("main", B, {"dev/one": A, "main": B})


def test_a_remote_with_a_detached_head_has_no_current_branch() -> None:
    branches = parse_ls_remote(f"{A}\tHEAD\n{A}\trefs/heads/main")
    assert (branches.current, branches.head_sha) == (None, A)
    attached = parse_ls_remote(f"ref: refs/heads/main\tHEAD\n{A}\tHEAD\n{A}\trefs/heads/main")
    assert attached.current == "main"


def test_git_is_quoted_by_the_line_that_says_most() -> None:
    assert last_words('warning: x\nerror: open("f"): Denied\nfatal: adding files failed\n', 1) == 'open("f"): Denied'
    assert last_words("hint: a\nfatal: no such thing.\n", 128) == "no such thing"
    assert last_words("", -9) == "git ended with signal 9 and said nothing"


def test_a_refused_push_says_why() -> None:
    assert refusal_reason("To /x\n!\ta:b\t[remote rejected] (no)\nDone\n") == "[remote rejected] (no)"
    assert refusal_reason("To /x\n*\ta:b\t[new branch]\nDone\n") is None
