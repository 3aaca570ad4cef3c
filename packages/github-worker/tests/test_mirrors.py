"""The mirror survives crashes, follows its source, and never loses what a job stands on."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from aicd_core.errors import StepFailedError, UnavailableError
from aicd_core.ids import JobId, new_uuid
from aicd_github import filelock
from aicd_github.filelock import locked
from aicd_github.git import mirror as mirror_module
from aicd_github.git.environment import Transport
from aicd_github.git.layout import pack_count
from aicd_github.git.mirror import Mirror
from aicd_github.git.remote import Remote
from aicd_github.git.runner import Git, GitCall, Place
from aicd_github.local.host import LocalCodeHost


@pytest.fixture
def mirror(repo: Any, data_dir: Path) -> Mirror:
    return Mirror(Git(), data_dir / "mirrors/x.git", Remote(str(repo.path), Transport.FILE), "sha1")


def refs(mirror: Mirror, repo: Any) -> list[str]:
    return repo.git("--git-dir", str(mirror.path), "for-each-ref", "--format=%(refname)").splitlines()


async def test_only_branches_come_along_and_deleted_ones_go(repo: Any, mirror: Mirror) -> None:
    repo.git("branch", "gone")
    repo.git("branch", "aicd/123")
    repo.git("tag", "v1")
    repo.write("x")
    repo.git("add", "x")
    repo.git("stash")
    await mirror.fetch()
    assert refs(mirror, repo) == ["refs/heads/gone", "refs/heads/main"]
    repo.git("branch", "-D", "gone")
    repo.git("branch", "gone/deeper")
    await mirror.fetch()
    assert refs(mirror, repo) == ["refs/heads/gone/deeper", "refs/heads/main"]


async def test_a_commit_stays_after_its_branch_was_rewritten(repo: Any, mirror: Mirror) -> None:
    sha = repo.commit("to be lost")
    await mirror.ensure("main", sha)
    repo.git("reset", "-q", "--hard", "HEAD~1")
    await mirror.fetch()
    await mirror.fetch()
    result = await Git().run(GitCall(("cat-file", "-t", sha), Place(mirror.path)))
    assert result.text() == "commit"


@pytest.mark.parametrize(
    "leftover",
    ["packed-refs.lock", "shallow.lock", "HEAD.lock", "refs/heads/main.lock", "refs/heads/deep/er.lock",
     "objects/pack/tmp_pack_x", "objects/pack/pack-1.keep", "config.lock", "packed-refs.new"],
)  # fmt: skip
async def test_what_a_killed_git_left_is_in_nobodys_way(repo: Any, mirror: Mirror, leftover: str) -> None:
    await mirror.fetch()
    (mirror.path / leftover).parent.mkdir(parents=True, exist_ok=True)
    (mirror.path / leftover).write_text("")
    sha = repo.commit("another")
    repo.git("branch", "deep/er")
    await mirror.ensure("main", sha)
    assert await mirror.commit_of("main") == sha
    assert not (mirror.path / leftover).exists()


@pytest.mark.parametrize("damage", ["half made", "no head", "broken config", "lost objects", "empty object"])
async def test_a_damaged_mirror_is_made_anew(repo: Any, mirror: Mirror, damage: str) -> None:
    await mirror.fetch()
    if damage == "half made":
        shutil.rmtree(mirror.path)
        (mirror.path / "objects").mkdir(parents=True)
        (mirror.path.with_name("x.git.new") / "objects").mkdir(parents=True)
    elif damage == "no head":
        (mirror.path / "HEAD").write_text("")
    elif damage == "broken config":
        (mirror.path / "config").write_text("[core\n")
    else:
        for file in (mirror.path / "objects").rglob("*"):
            if file.is_file():
                file.unlink()
                file.write_bytes(b"") if damage == "empty object" else None
    sha = repo.commit("another")
    await mirror.ensure("main", sha)
    shown = repo.git("--git-dir", str(mirror.path), "rev-list", "--objects", "main")
    assert shown.startswith(sha)


async def test_many_small_fetches_do_not_pile_up(repo: Any, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "_LOOSE_LIMIT", -1)
    for number in range(4):
        repo.write("x", b"%d" % number)
        repo.commit()
        await mirror.fetch()
    assert pack_count(mirror.path) <= 2
    assert repo.git("--git-dir", str(mirror.path), "count-objects").startswith("0 objects")


async def test_fetches_at_once_wait_for_each_other(repo: Any, data_dir: Path) -> None:
    remote = Remote(str(repo.path), Transport.FILE)
    mirrors = [Mirror(Git(), data_dir / "mirrors/x.git", remote, "sha1") for _ in range(5)]
    await asyncio.gather(*(mirror.fetch() for mirror in mirrors))
    assert await mirrors[0].commit_of("main") == repo.git("rev-parse", "main")


async def test_a_source_that_is_gone_leaves_the_mirror_alone(repo: Any, mirror: Mirror) -> None:
    await mirror.fetch()
    sha = repo.git("rev-parse", "main")
    shutil.rmtree(repo.path)
    with pytest.raises(UnavailableError, match="does not appear to be a git repository"):
        await mirror.fetch()
    assert await mirror.commit_of("main") == sha


async def test_a_lock_held_too_long_is_told_and_released_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    async with locked(path, 1):
        with pytest.raises(UnavailableError, match="lock") as caught:
            async with locked(path, 0.05):
                pass
    assert caught.value.code == "locked"
    async with locked(path, 0.05):
        pass


async def test_a_lock_whose_file_was_removed_guards_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filelock, "_same_file", lambda *_: False)
    with pytest.raises(UnavailableError):
        async with locked(tmp_path / "lock", 0.02):
            pass


async def test_a_child_that_outlives_its_parent_keeps_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    async with locked(path, 1) as descriptor:
        child = await asyncio.create_subprocess_exec("sleep", "0.4", pass_fds=(descriptor,))
    with pytest.raises(UnavailableError):
        async with locked(path, 0.05):
            pass
    await child.wait()
    async with locked(path, 0.05):
        pass


async def test_a_base_commit_that_is_nowhere_is_told(host: LocalCodeHost, job_id: JobId) -> None:
    with pytest.raises(StepFailedError, match="not on any branch") as caught:
        await host.open(job_id, "1" * 40)
    assert caught.value.code == "base_gone"


async def test_a_job_goes_on_when_the_mirror_was_deleted(
    repo: Any, host: LocalCodeHost, data_dir: Path, job_id: JobId
) -> None:
    base = await host.resolve_base(None)
    await host.open(job_id, base.sha)
    shutil.rmtree(data_dir / "mirrors")
    checkout = await host.open(job_id, base.sha)
    assert await checkout.read_at_base("README.md") == b"hello\n"
    assert await host.open(JobId(new_uuid()), base.sha)


async def test_a_data_directory_that_cannot_be_written_to_is_told(repo: Any, sandbox: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    host = LocalCodeHost(str(repo.path), tmp_path / "file" / "data", sandbox, 60)
    with pytest.raises(UnavailableError, match="file/data"):
        await host.resolve_base(None)
