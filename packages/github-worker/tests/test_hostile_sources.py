"""A repository that was made to hurt whoever clones it: without end once unfolded, or borrowing from others."""

import os
from pathlib import Path
from typing import Any

import pytest

from aicd_core.errors import AicdError, StepFailedError
from aicd_core.ids import JobId
from aicd_github.git import quarantine, runner
from aicd_github.git.runner import Git, GitCall
from aicd_github.work_tree import files


def git_bomb(repo: Any, levels: int, width: int) -> None:
    """A commit of a few kilobytes whose tree unfolds to `width ** levels` files."""
    sha, mode, kind = repo.git("hash-object", "-w", "--stdin", stdin=b"boom\n"), "100644", "blob"
    for _ in range(levels):
        listing = "".join(f"{mode} {kind} {sha}\tf{number}\n" for number in range(width))
        sha, mode, kind = repo.git("mktree", stdin=listing.encode()), "040000", "tree"
    repo.git("update-ref", "refs/heads/main", repo.git("commit-tree", "-m", "bomb", sha))


async def test_a_tree_without_end_is_not_unfolded(
    make_repo: Any, make_host: Any, job_id: JobId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "_MAX_LISTING", 1_000_000)
    repo = make_repo("bomb")
    git_bomb(repo, levels=12, width=10)
    host = make_host(repo.path)
    base = await host.resolve_base(None)
    with pytest.raises(StepFailedError) as caught:
        await host.open(job_id, base.sha)
    assert caught.value.code == "output_too_large"


async def test_files_larger_than_the_disk_are_not_laid(
    make_repo: Any, make_host: Any, job_id: JobId, monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    monkeypatch.setattr(files, "_MAX_BASE", 3_000_000)
    repo = make_repo("large")
    for number in range(4):
        repo.write(f"zeros{number}", bytes(1_000_000))  # all of them are one object of a kilobyte in the pack
    repo.commit()
    host = make_host(repo.path)
    base = await host.resolve_base(None)
    with pytest.raises(StepFailedError) as caught:
        await host.open(job_id, base.sha)
    assert caught.value.code == "repository_too_large"
    assert list((data_dir / "jobs" / str(job_id) / "tree").iterdir()) == []


async def test_git_may_write_no_file_without_end(
    make_repo: Any, make_host: Any, job_id: JobId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_MAX_FILE", 500_000)
    repo = make_repo("noise")
    repo.write("noise", os.urandom(3_000_000))
    repo.commit()
    with pytest.raises(AicdError):
        await make_host(repo.path).resolve_base(None)


async def test_git_that_never_stops_talking_is_ended(repo: Any) -> None:
    repo.write("large", bytes(5_000_000))
    sha = repo.git("hash-object", "-w", "large")
    with pytest.raises(StepFailedError) as caught:
        await Git().run(GitCall(("cat-file", "blob", sha), cwd=repo.path, max_output=100_000))
    assert caught.value.code == "output_too_large"
    whole = await Git().run(GitCall(("cat-file", "blob", sha), cwd=repo.path, max_output=5_000_000))
    assert len(whole.stdout) == 5_000_000


def test_outside_of_a_repository_none_is_searched_for() -> None:
    assert GitCall(("ls-remote", "x")).environment()["GIT_DIR"] == "/nonexistent"


async def test_a_source_cannot_borrow_what_its_owner_may_not_read(make_repo: Any, make_host: Any) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    victim = make_repo("victim")
    victim.write("secret.txt", b"another tenant's secret\n")
    secret = victim.commit()
    victim.path.chmod(0o700)
    source = make_repo("source-of-another-user")
    source.write("a.txt")
    source.commit()
    (source.path / ".git/objects/info/alternates").write_text(f"{victim.path}/.git/objects\n")
    (source.path / ".git/refs/heads/stolen").write_text(f"{secret}\n")
    for path in (source.path, *source.path.rglob("*")):
        os.chown(path, 12345, 12345)
    for folder in (source.path, *source.path.parents):
        if folder.stat().st_uid == 0 and folder not in (Path("/tmp"), Path("/")):
            folder.chmod(0o755)
    as_root = ("-c", "safe.directory=*", "show", "stolen:secret.txt")
    assert source.git(*as_root) == "another tenant's secret"  # root's own git does read it
    host = make_host(source.path)
    with pytest.raises(AicdError):
        await host.resolve_base("stolen")
