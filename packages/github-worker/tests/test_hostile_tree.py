"""Nothing that an agent leaves in its tree runs on the host, leaves the tree, or gets committed unseen."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aicd_core.errors import StepFailedError
from aicd_core.ids import JobId
from aicd_github.checkout import GitCheckout


@pytest.fixture
async def checkout(repo: Any, host: Any, job_id: JobId) -> GitCheckout:
    base = await host.resolve_base(None)
    return await host.open(job_id, base.sha)


def plant_repository(folder: Path, canary: Path, *, commit: bool = True) -> None:
    """A repository with a commit whose configuration and hooks touch the canary whenever git looks."""
    folder.mkdir(parents=True, exist_ok=True)
    run = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run([*run, "init", "-q"], cwd=folder, check=True)
    if commit:
        subprocess.run([*run, "commit", "-q", "--allow-empty", "-m", "x"], cwd=folder, check=True)
    touch = f"touch {canary}"
    (folder / ".git/config").write_text(
        "[core]\nrepositoryformatversion = 0\nbare = false\n"
        f"fsmonitor = {touch}\nsshCommand = {touch}\npager = {touch}\nhooksPath = hooks\n"
        f"alternateRefsCommand = {touch}\neditor = {touch}\n"
        f'[filter "x"]\nclean = {touch}\nsmudge = {touch}\nprocess = {touch}\n'
        f'[diff "x"]\ncommand = {touch}\ntextconv = {touch}\n[diff]\nexternal = {touch}\n'
        f"[uploadpack]\npackObjectsHook = {touch}\n"
    )
    hooks = folder / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-index-change", "pre-commit", "post-checkout", "reference-transaction", "fsmonitor-watchman"):
        (hooks / name).write_text(f"#!/bin/sh\n{touch}\n")
        (hooks / name).chmod(0o755)


async def test_no_command_of_the_tree_runs_on_the_host(checkout: GitCheckout, tmp_path: Path, request_for: Any) -> None:
    canary = tmp_path / "canary"
    tree = checkout.repository.tree
    plant_repository(tree, canary)  # a .git at the very root
    (tree / ".gitattributes").write_text("* filter=x diff=x merge=x text eol=crlf\n")
    (tree / ".gitconfig").write_text(f"[core]\nfsmonitor = touch {canary}\n")
    (tree / "new.txt").write_text("new\n")
    change_set = await checkout.capture(())
    assert sorted(file.path for file in change_set.files) == [".gitattributes", ".gitconfig", "new.txt"]
    await checkout.workspace.diff()
    await checkout.commit(request_for(change_set))
    await checkout.restore(change_set)
    await checkout.restore(None)
    assert not canary.exists()
    assert not (tree / ".git").exists()


async def test_a_nested_repository_is_refused_and_runs_nothing(checkout: GitCheckout, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    plant_repository(checkout.repository.tree / "vendored", canary)
    with pytest.raises(StepFailedError, match="vendored") as caught:
        await checkout.capture(())
    assert caught.value.code == "nested_repository"
    assert not canary.exists()


async def test_a_nested_repository_cannot_be_hidden_by_gitmodules(checkout: GitCheckout, tmp_path: Path) -> None:
    tree = checkout.repository.tree
    plant_repository(tree / "vendored", tmp_path / "canary")
    (tree / ".gitmodules").write_text('[submodule "v"]\npath = vendored\nurl = ./v\nignore = all\n')
    with pytest.raises(StepFailedError, match="vendored"):
        await checkout.capture(())


async def test_a_nested_repository_without_a_commit_is_refused(checkout: GitCheckout) -> None:
    plant_repository(checkout.repository.tree / "nested", Path("/nonexistent"), commit=False)
    with pytest.raises(StepFailedError, match="nested"):
        await checkout.capture(())


async def test_an_ignored_nested_repository_does_no_harm(checkout: GitCheckout, tmp_path: Path) -> None:
    tree = checkout.repository.tree
    (tree / ".gitignore").write_text("vendor/\n")
    plant_repository(tree / "vendor/lib", tmp_path / "canary")
    assert [file.path for file in (await checkout.capture(())).files] == [".gitignore"]
    assert not (tmp_path / "canary").exists()


@pytest.fixture
async def with_submodule(repo: Any, host: Any, job_id: JobId) -> GitCheckout:
    sha = repo.git("rev-parse", "HEAD")
    repo.write(".gitmodules", b'[submodule "sub"]\npath = libs/sub\nurl = ../sub\n')
    repo.git("add", ".gitmodules")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{sha},libs/sub")
    repo.git("commit", "-q", "-m", "submodule")
    base = await host.resolve_base(None)
    return await host.open(job_id, base.sha)


async def test_a_submodule_stays_as_it_is_even_when_its_folder_is_gone(with_submodule: GitCheckout) -> None:
    tree = with_submodule.repository.tree
    (tree / "libs/sub").rmdir()
    (tree / "libs").rmdir()
    (tree / "new.txt").write_text("new\n")
    change_set = await with_submodule.capture(())
    assert [file.path for file in change_set.files] == ["new.txt"]
    await with_submodule.restore(change_set)
    assert list((tree / "libs/sub").iterdir()) == []
    assert "libs/sub" not in await with_submodule.paths_at_base()


async def test_a_repository_planted_in_a_submodule_is_refused_before_git_looks(
    with_submodule: GitCheckout, tmp_path: Path
) -> None:
    plant_repository(with_submodule.repository.tree / "libs/sub", tmp_path / "canary")
    for measure in (with_submodule.capture(()), with_submodule.workspace.diff()):
        with pytest.raises(StepFailedError, match="libs/sub") as caught:
            await measure
        assert caught.value.code == "submodule_changed"
    assert not (tmp_path / "canary").exists()


async def test_a_submodule_cannot_be_replaced(with_submodule: GitCheckout) -> None:
    folder = with_submodule.repository.tree / "libs/sub"
    folder.rmdir()
    folder.write_text("a file now\n")
    with pytest.raises(StepFailedError, match="libs/sub"):
        await with_submodule.capture(())


async def test_planned_files_in_a_submodule_are_refused_rather_than_lost(with_submodule: GitCheckout) -> None:
    await with_submodule.workspace.write("libs/sub/new.txt", b"new\n")
    with pytest.raises(StepFailedError, match="libs/sub"):
        await with_submodule.capture(["libs/sub/new.txt"])


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "inner/../../outside", "hop/../outside"])
async def test_a_link_that_leads_out_is_refused(checkout: GitCheckout, target: str) -> None:
    tree = checkout.repository.tree
    (tree / "inner").mkdir()
    (tree / "inner/file").write_text("x\n")
    (tree / "hop").symlink_to(".")
    (tree / "bad").symlink_to(target)
    with pytest.raises(StepFailedError, match="bad") as caught:
        await checkout.capture(())
    assert caught.value.code == "symlink_leads_out"


async def test_links_that_the_repository_had_already_are_left_alone(repo: Any, host: Any, job_id: JobId) -> None:
    (repo.path / "old-link").symlink_to("/etc/hostname")
    repo.commit()
    checkout = await host.open(job_id, (await host.resolve_base(None)).sha)
    (checkout.repository.tree / "new-link").symlink_to("README.md")
    assert [file.path for file in (await checkout.capture(())).files] == ["new-link"]


async def test_a_folder_replaced_by_a_link_takes_nothing_in_from_behind_it(
    repo: Any, host: Any, job_id: JobId, tmp_path: Path
) -> None:
    repo.write("src/a.txt", b"a\n")
    repo.commit()
    checkout = await host.open(job_id, (await host.resolve_base(None)).sha)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.txt").write_text("secret\n")
    tree = checkout.repository.tree
    (tree / "src/a.txt").unlink()
    (tree / "src").rmdir()
    (tree / "src").symlink_to(outside)
    assert b"secret" not in await checkout.workspace.diff()
    with pytest.raises(StepFailedError, match="src"):
        await checkout.capture(())
    checkout.touched()
    await checkout.restore(None)
    assert (tree / "src/a.txt").read_text() == "a\n"
    assert (outside / "a.txt").read_text() == "secret\n"


@pytest.mark.parametrize("name", [".GIT", "git~1", ".git ", ".g\u200cit"])
async def test_other_spellings_of_the_git_folder_are_refused(checkout: GitCheckout, name: str) -> None:
    (checkout.repository.tree / name).mkdir()
    (checkout.repository.tree / name / "config").write_text("[core]\n")
    with pytest.raises(StepFailedError) as caught:
        await checkout.capture(())
    assert caught.value.code == "uncommittable_tree"


async def test_a_fifo_in_place_of_a_file_hangs_nothing(checkout: GitCheckout) -> None:
    tree = checkout.repository.tree
    (tree / "README.md").unlink()
    os.mkfifo(tree / "README.md")
    os.mkfifo(tree / "pipe")
    (tree / "new.txt").write_text("new\n")
    with pytest.raises(StepFailedError, match=r"README\.md"):
        await checkout.capture(())
    checkout.touched()
    await checkout.restore(None)
    assert (tree / "README.md").read_text() == "hello\n"


async def test_a_name_that_is_not_utf8_is_refused(checkout: GitCheckout) -> None:
    (checkout.repository.tree / os.fsdecode(b"caf\xe9")).write_text("x\n")
    with pytest.raises(StepFailedError) as caught:
        await checkout.capture(())
    assert caught.value.code == "path_not_utf8"


async def test_an_attribute_cannot_hide_a_file_from_the_patch(checkout: GitCheckout) -> None:
    await checkout.workspace.write(".gitattributes", b"*.py binary -diff linguist-generated\n")
    await checkout.workspace.write("evil.py", b"import os\n")
    change_set = await checkout.capture(())
    assert "evil.py" in {line.path for line in change_set.added()}


async def test_a_change_with_its_old_time_stamp_is_still_seen(checkout: GitCheckout) -> None:
    file = checkout.repository.tree / "README.md"
    info = file.stat()
    file.write_text("hullo\n")
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert [changed.path for changed in (await checkout.capture(())).files] == ["README.md"]


@pytest.mark.parametrize("path", ["README.md", "src/deep/a.txt"])
async def test_a_file_rewritten_in_place_with_its_size_and_times_set_back_is_seen(
    repo: Any, host: Any, job_id: JobId, path: str
) -> None:
    repo.write("README.md", b"old words\n")
    repo.write("src/deep/a.txt", b"old words\n")
    checkout = await host.open(job_id, repo.commit())
    file = checkout.repository.tree / path
    before = file.stat()
    with file.open("r+b") as opened:  # at once after the laying, in the same inode
        opened.write(b"new")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    same = ("st_ino", "st_size", "st_mtime_ns", "st_mode")
    assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]
    assert [changed.path for changed in (await checkout.capture(())).files] == [path]
    checkout.touched()
    await checkout.restore(None)
    assert file.read_bytes() == b"old words\n"


async def test_a_very_deep_tree_with_locked_folders_is_cleared(checkout: GitCheckout) -> None:
    tree = checkout.repository.tree
    here = os.open(tree, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d" * 9, dir_fd=here)
        deeper = os.open("d" * 9, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    locked = tree / "locked/inner"
    locked.mkdir(parents=True)
    (locked / "file").write_text("x\n")
    locked.chmod(0)
    locked.parent.chmod(0)
    assert await checkout.workspace.list("README.md") == ["README.md"]
    checkout.touched()
    await checkout.restore(None)
    assert [path.name for path in tree.iterdir()] == ["README.md"]
