"""A work tree is laid and measured byte for byte, and restored as it was."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aicd_core.contracts import FileOp
from aicd_core.ids import JobId
from aicd_github.local.host import LocalCodeHost


def put(tree: Path, path: str, content: bytes, mode: int = 0o644) -> None:
    file = tree / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.write_bytes(content)
    file.chmod(mode)


def snapshot(tree: Path) -> dict[str, tuple[str, bytes]]:
    """Kind and content of everything in a tree but git's own folder."""
    found = {}
    for folder, folders, names in os.walk(tree):
        folders[:] = [name for name in folders if name != ".git"]
        for name in [*names, *(name for name in folders if Path(folder, name).is_symlink())]:
            file = Path(folder, name)
            if file.is_symlink():
                found[str(file.relative_to(tree))] = ("link", bytes(file.readlink()))
            else:
                kind = "program" if file.stat().st_mode & 0o100 else "file"
                found[str(file.relative_to(tree))] = (kind, file.read_bytes())
    return found


def before(tree: Path) -> None:
    put(tree, "kept.txt", b"kept\n")
    put(tree, "changed.txt", b"one\ntwo\nthree\n")
    put(tree, "deleted/deep/file.txt", b"gone\n")
    put(tree, "renamed.txt", b"".join(b"line %d\n" % n for n in range(50)))
    put(tree, "script.sh", b"#!/bin/sh\n")
    put(tree, "no-end.txt", b"no newline at the end")
    put(tree, "crlf.txt", b"one\r\ntwo\r\n")
    put(tree, "mixed.txt", b"one\r\ntwo\nthree\r")
    put(tree, "binary.bin", bytes(range(256)) * 20)
    put(tree, "becomes-link", b"file\n")
    put(tree, "becomes-folder", b"file\n")
    put(tree, "folder-becomes-file/x", b"x\n")
    put(tree, "-leading dash", b"x\n")
    put(tree, "keyword.txt", b"$Id$\n")
    (tree / "link").symlink_to("kept.txt")
    put(
        tree,
        ".gitattributes",
        b"* text=auto\n*.txt text eol=crlf ident\n*.bin -diff\n*.enc working-tree-encoding=UTF-16\n",
    )
    put(tree, ".gitignore", b"*.log\n/build/\n")


def after(tree: Path) -> None:
    put(tree, "changed.txt", b"one\n2\nthree\nfour\n")
    shutil.rmtree(tree / "deleted")
    (tree / "renamed.txt").unlink()
    put(tree, "moved/to here.txt", b"".join(b"line %d\n" % n for n in range(50)) + b"more\n")
    (tree / "script.sh").chmod(0o755)
    put(tree, "no-end.txt", b"still no newline\nat the end")
    put(tree, "crlf.txt", b"one\r\n2\r\n")
    put(tree, "mixed.txt", b"one\ntwo\r\nthree\r\r")
    put(tree, "binary.bin", bytes(reversed(range(256))) * 20)
    put(tree, "text.enc", b"plain\n")
    (tree / "becomes-link").unlink()
    (tree / "becomes-link").symlink_to("deep/er/../er/target")
    put(tree, "deep/er/target", b"target\n")
    (tree / "becomes-folder").unlink()
    put(tree, "becomes-folder/inside", b"file\n")
    shutil.rmtree(tree / "folder-becomes-file")
    put(tree, "folder-becomes-file", b"x\n")
    put(tree, "-leading dash", b"y\n")
    put(tree, "--all", b"an option?\n")
    put(tree, ":(glob)**", b"magic?\n")
    put(tree, "empty", b"")
    put(tree, "naïve/日本語 \U0001f600.txt", "größer\n".encode())
    put(tree, "latin1.txt", "größer\n".encode("latin-1"))
    put(tree, 'quote"and\\backslash', b"q\n")
    put(tree, "tab\tand\nnewline", b"t\n")
    put(tree, " spaces around ", b"s\n")
    put(tree, "fence.md", b"```diff\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n```\n")
    put(tree, "keyword.txt", b"$Id$\n$Id: 123 $\n")
    (tree / "link").unlink()
    (tree / "link").symlink_to("changed.txt")
    put(tree, "planned.log", b"ignored, but planned\n")


PLANNED = ("planned.log", "changed.txt", "not/there")


@pytest.fixture
def two_commits(make_repo: Callable[..., Any]) -> tuple[Any, str, str]:
    """A repository with the tree `before`, then `after`; both stored exactly as they are on disk."""
    repo = make_repo()
    raw = ("-c", "core.attributesFile=/dev/null", "-c", "core.autocrlf=false")
    (repo.path / ".git/info").mkdir(exist_ok=True)
    (repo.path / ".git/info/attributes").write_text("* -text -filter -ident !working-tree-encoding\n")
    before(repo.path)
    repo.git(*raw, "add", "--all", "--force")
    first = repo.commit("before")
    after(repo.path)
    (repo.path / "stray.log").write_bytes(b"ignored\n")
    repo.git(*raw, "add", "--all")
    repo.git(*raw, "add", "--force", "planned.log")
    repo.git("commit", "--quiet", "-m", "after")
    (repo.path / "stray.log").unlink()
    return repo, first, repo.git("rev-parse", "HEAD")


async def test_a_change_of_every_kind_is_captured_committed_and_published_exactly(
    two_commits: tuple[Any, str, str], make_host: Any, job_id: JobId, request_for: Any, draft: Any
) -> None:
    repo, first, second = two_commits
    repo.git("branch", "old", first)
    host: LocalCodeHost = make_host(repo.path)
    base = await host.resolve_base("old")
    checkout = await host.open(job_id, base.sha)
    tree = checkout.repository.tree
    after(tree)
    put(tree, "stray.log", b"ignored\n")
    put(tree, "build/out.o", b"ignored\n")
    change_set = await checkout.capture(PLANNED)
    assert change_set.tree_sha == repo.tree(second)
    head = await checkout.commit(request_for(change_set))
    pull_request = await host.publish(job_id, checkout, head, base, draft)
    assert repo.git("rev-parse", f"{pull_request.branch}^{{tree}}") == repo.tree(second)
    assert repo.git("rev-parse", f"{pull_request.branch}^") == first
    assert repo.git("diff", "--name-only", pull_request.branch, second) == ""


async def test_the_base_is_laid_as_the_repository_stores_it(
    two_commits: tuple[Any, str, str], make_host: Any, job_id: JobId, tmp_path: Path
) -> None:
    repo, first, _ = two_commits
    checkout = await make_host(repo.path).open(job_id, first)
    expected = tmp_path / "expected"
    expected.mkdir()
    before(expected)
    assert snapshot(checkout.repository.tree) == snapshot(expected)
    assert await checkout.paths_at_base() == frozenset(snapshot(expected))
    after(checkout.repository.tree)
    checkout.touched()
    await checkout.restore(None)
    assert snapshot(checkout.repository.tree) == snapshot(expected)


async def test_the_change_alone_lays_the_same_tree_on_another_machine(
    two_commits: tuple[Any, str, str], sandbox: Any, tmp_path: Path, job_id: JobId, request_for: Any
) -> None:
    repo, first, second = two_commits
    here = await LocalCodeHost(str(repo.path), tmp_path / "here", sandbox, 60).open(job_id, first)
    after(here.repository.tree)
    change_set = type(await here.capture(PLANNED)).model_validate_json((await here.capture(PLANNED)).model_dump_json())
    repo.git("checkout", "--quiet", "-B", "main", first)  # the second commit is nowhere to be fetched from
    there = await LocalCodeHost(str(repo.path), tmp_path / "there", sandbox, 60).open(job_id, first)
    assert await there.commit(request_for(change_set)) == await here.commit(request_for(change_set))
    await there.restore(change_set)
    repo.git("checkout", "--quiet", "--detach", second)
    assert snapshot(there.repository.tree) == snapshot(repo.path)
    assert (await there.capture(PLANNED)).tree_sha == repo.tree(second)


def _link(tree: Path) -> None:
    (tree / "kept.txt").unlink()
    (tree / "kept.txt").symlink_to("changed.txt")


EDITS: tuple[Callable[[Path], object], ...] = (
    lambda tree: put(tree, "changed.txt", b"one\n"),
    lambda tree: put(tree, "changed.txt", b"one\n"),
    lambda tree: put(tree, "changed.txt", b"one\nmore\n"),
    lambda tree: put(tree, "new/deep.txt", b"new\n"),
    lambda tree: shutil.rmtree(tree / "new"),
    lambda tree: put(tree, "new", b"a file where a folder was\n"),
    lambda tree: (tree / "changed.txt").unlink(),
    lambda tree: put(tree, "changed.txt/inner", b"a folder where a file was\n"),
    lambda tree: (shutil.rmtree(tree / "changed.txt"), put(tree, "changed.txt", b"one\ntwo\nthree\n")),
    lambda tree: (tree / "script.sh").chmod(0o755),
    _link,
    lambda tree: (tree.parent / "index").write_bytes(b"written by somebody else"),
    lambda tree: put(tree, "new", b"on top of that\n"),
    lambda tree: (tree.parent / "index").unlink(),
    lambda tree: put(tree, "last.txt", b"last\n"),
)


async def test_each_capture_of_a_long_session_is_the_tree_as_it_is_then(
    two_commits: tuple[Any, str, str], sandbox: Any, tmp_path: Path, job_id: JobId
) -> None:
    repo, first, _ = two_commits
    here = await LocalCodeHost(str(repo.path), tmp_path / "here", sandbox, 60).open(job_id, first)
    there = await LocalCodeHost(str(repo.path), tmp_path / "there", sandbox, 60).open(job_id, first)
    for edit in EDITS:
        edit(here.repository.tree)
        change_set = await here.capture(())
        there.touched()
        await there.restore(change_set)
        assert snapshot(there.repository.tree) == snapshot(here.repository.tree)
        sizes = {file.path: file.new_size for file in change_set.files if file.new_size is not None}
        assert sizes == {path: (here.repository.tree / path).lstat().st_size for path in sizes}


async def test_what_happened_to_each_file_is_told(
    two_commits: tuple[Any, str, str], make_host: Any, job_id: JobId
) -> None:
    repo, first, _ = two_commits
    checkout = await make_host(repo.path).open(job_id, first)
    after(checkout.repository.tree)
    files = {file.path: file for file in (await checkout.capture(PLANNED)).files}
    renamed = files["moved/to here.txt"]
    assert (renamed.op, renamed.old_path, renamed.added_lines) == (FileOp.RENAME, "renamed.txt", 1)
    assert files["deleted/deep/file.txt"].op is FileOp.DELETE
    assert files["deleted/deep/file.txt"].new_mode is None
    assert (files["script.sh"].old_mode, files["script.sh"].new_mode) == ("100644", "100755")
    assert (files["empty"].op, files["empty"].new_size) == (FileOp.CREATE, 0)
    assert files["binary.bin"].binary
    assert files["becomes-link"].new_mode == "120000"
    assert "stray.log" not in files
    assert "kept.txt" not in files


async def test_an_untouched_tree_is_an_empty_change_even_when_every_file_is_written_anew(
    two_commits: tuple[Any, str, str], make_host: Any, job_id: JobId
) -> None:
    repo, first, _ = two_commits
    checkout = await make_host(repo.path).open(job_id, first)
    before_change = await checkout.capture(())
    for path, (kind, content) in snapshot(checkout.repository.tree).items():
        if kind != "link":
            put(checkout.repository.tree, path, content, 0o755 if kind == "program" else 0o644)
    change_set = await checkout.capture(())
    assert change_set == before_change
    assert (change_set.files, change_set.patch, change_set.tree_sha) == ((), b"", repo.tree(first))


async def test_a_tracked_file_that_is_ignored_stays_in_the_change(
    make_repo: Any, make_host: Any, job_id: JobId
) -> None:
    repo = make_repo()
    repo.write(".gitignore", b"*.cfg\n")
    repo.write("kept.cfg", b"old\n")
    first = repo.commit()
    host = make_host(repo.path)
    base = await host.resolve_base(None)
    checkout = await host.open(job_id, base.sha)
    await checkout.workspace.write("kept.cfg", b"new\n")
    await checkout.workspace.write("other.cfg", b"junk\n")
    assert [file.path for file in (await checkout.capture(())).files] == ["kept.cfg"]
    # Another process takes over: it knows nothing of the index that was built here.
    again = await make_host(repo.path).open(job_id, first)
    assert [file.path for file in (await again.capture(())).files] == ["kept.cfg"]
    assert sorted(file.path for file in (await again.capture(["other.cfg"])).files) == ["kept.cfg", "other.cfg"]


async def test_restoring_what_was_just_captured_removes_only_what_is_not_part_of_it(
    two_commits: tuple[Any, str, str], make_host: Any, job_id: JobId
) -> None:
    repo, first, second = two_commits
    checkout = await make_host(repo.path).open(job_id, first)
    tree = checkout.repository.tree
    after(tree)
    put(tree, "stray.log", b"ignored\n")
    put(tree, "build/deep/out.o", b"ignored\n")
    (tree / "build/.git").mkdir()
    change_set = await checkout.capture(PLANNED)
    kept = (tree / "kept.txt").stat().st_ino
    await checkout.restore(change_set)
    assert (tree / "kept.txt").stat().st_ino == kept
    assert snapshot(tree) == snapshot(repo.path)
    assert (await checkout.capture(())).tree_sha == repo.tree(second)


async def test_a_command_between_capture_and_restore_is_undone(repo: Any, host: LocalCodeHost, job_id: JobId) -> None:
    base = await host.resolve_base(None)
    checkout = await host.open(job_id, base.sha)
    await checkout.workspace.write("new.txt", b"new\n")
    change_set = await checkout.capture(())
    await checkout.workspace.run("echo spoilt > new.txt; rm README.md; mkdir junk; echo x > junk/x")
    await checkout.restore(change_set)
    assert snapshot(checkout.repository.tree) == {
        "README.md": ("file", b"hello\n"),
        "new.txt": ("file", b"new\n"),
    }
