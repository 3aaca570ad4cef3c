"""What git itself finds malformed, or would be turned by, never leaves the quarantine."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from aicd_core.contracts import ChangeSet
from aicd_core.errors import StepFailedError
from aicd_core.ids import JobId, new_uuid
from aicd_github.checkout import GitCheckout
from aicd_github.git import job_repository
from aicd_github.git.quarantine import Identity
from aicd_github.git.runner import Git, GitCall, GitFailedError, Place

FILE, FOLDER, LINK, COMMIT = "100644", "40000", "120000", "160000"
BAD_NAMES = [
    ".git",
    "..",
    ".",
    ".GIT",
    ".Git",
    "git~1",
    "GIT~1",
    ".git ",
    ".git...",
    ".git::$INDEX_ALLOCATION",
    ".g\u200cit",
    ".gi\u2060t".replace("\u2060", "\u206a"),
    "\ufeff.git",
    ".git\\config",
]


class Smith:
    """Forges objects in a job's quarantine, as something that got past every other check would."""

    def __init__(self, checkout: GitCheckout) -> None:
        self.repository = checkout.repository
        self.quarantine = checkout.repository.quarantine

    async def object(self, kind: str, content: bytes) -> str:
        call = GitCall(
            ("hash-object", "-w", "-t", kind, "--literally", "--stdin"), Place(self.quarantine.path), stdin=content
        )
        return (await Git().do(call, "forging failed")).text()

    async def tree(self, *entries: tuple[str, str, str]) -> str:
        """A tree with (mode, name, object) entries as they come."""
        parts = (f"{mode} {name}".encode() + b"\0" + bytes.fromhex(sha) for mode, name, sha in entries)
        return await self.object("tree", b"".join(parts))

    async def blob(self, content: bytes = b"x\n") -> str:
        return await self.object("blob", content)

    async def commit(self, tree: str) -> str:
        async with self.repository.locked() as lock:
            return await self.quarantine.commit_tree(tree, (), b"forged\n", Identity("a", "a@example.com"), 1, lock)

    async def hand_over(self, tree: str) -> None:
        commit = await self.commit(tree)
        async with self.repository.locked() as lock:
            await self.repository.hand_over(commit, lock)

    async def trusted(self) -> set[str]:
        """The objects that the trusted repository has of its own."""
        folder = self.repository.path / "objects"
        loose = {f"{path.parent.name}{path.name}" for path in folder.glob("[0-9a-f][0-9a-f]/*")}
        return loose | {path.name for path in (folder / "pack").glob("*.pack")}


@pytest.fixture
async def checkout(host: Any, job_id: JobId) -> GitCheckout:
    return await host.open(job_id, (await host.resolve_base(None)).sha)


@pytest.fixture
def smith(checkout: GitCheckout) -> Smith:
    return Smith(checkout)


async def refused(smith: Smith, tree: str) -> None:
    with pytest.raises(StepFailedError) as caught:
        await smith.hand_over(tree)
    assert caught.value.code == "malformed_objects"
    assert await smith.trusted() == set()


async def test_a_sound_commit_passes_and_only_then_is_in_the_trusted_repository(smith: Smith) -> None:
    tree = await smith.tree((FILE, "a", await smith.blob()))
    assert await smith.trusted() == set()
    await smith.hand_over(tree)
    assert len(await smith.trusted()) >= 1


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_a_name_that_stands_for_gits_own_folder_stays_in_quarantine(smith: Smith, name: str) -> None:
    await refused(smith, await smith.tree((FILE, name, await smith.blob())))
    inner = await smith.tree((FILE, "config", await smith.blob()))
    await refused(smith, await smith.tree((FOLDER, "sub", await smith.tree((FOLDER, name, inner)))))


async def test_trees_that_git_would_read_in_two_ways_stay_in_quarantine(smith: Smith) -> None:
    one, two = await smith.blob(b"1\n"), await smith.blob(b"2\n")
    empty = await smith.tree()
    await refused(smith, await smith.tree((FILE, "a", one), (FILE, "a", two)))
    await refused(smith, await smith.tree((FILE, "a", one), (FOLDER, "a", empty)))
    await refused(smith, await smith.tree((FILE, "b", one), (FILE, "a", two)))
    await refused(smith, await smith.tree((FILE, "a/b", one)))


@pytest.mark.parametrize(
    "content",
    [
        '[submodule "x"]\n\tpath = x\n\turl = -u./payload\n',
        '[submodule "x"]\n\tpath = -u./payload\n\turl = x\n',
        '[submodule "../../x"]\n\tpath = x\n\turl = y\n',
        '[submodule "x"]\n\tpath = x\n\turl = y\n\tupdate = !touch canary\n',
    ],
)
async def test_gitmodules_that_turn_a_clone_stay_in_quarantine(smith: Smith, content: str) -> None:
    await refused(smith, await smith.tree((FILE, ".gitmodules", await smith.blob(content.encode()))))


async def test_a_link_in_place_of_gitmodules_stays_in_quarantine(smith: Smith) -> None:
    await refused(smith, await smith.tree((LINK, ".gitmodules", await smith.blob(b"elsewhere"))))


@pytest.mark.parametrize(("name", "sha"), [("a", "0" * 40), ("a", "1" * 40), ("", "")])
async def test_what_git_cannot_even_send_stays_in_quarantine(smith: Smith, name: str, sha: str) -> None:
    commit = await smith.commit(await smith.tree((FILE, name, sha or await smith.blob())))
    async with smith.repository.locked() as lock:
        with pytest.raises(GitFailedError, match="quarantine"):
            await smith.repository.hand_over(commit, lock)
    assert await smith.trusted() == set()


async def test_more_than_is_allowed_stays_in_quarantine(smith: Smith, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = (*job_repository._GATE, "receive.maxInputSize=2k")
    monkeypatch.setattr(job_repository, "_GATE", gate)
    tree = await smith.tree((FILE, "a", await smith.blob(os.urandom(20_000))))
    with pytest.raises(GitFailedError, match="quarantine"):
        await smith.hand_over(tree)
    assert await smith.trusted() == set()


def claim(change_set: ChangeSet, tree: str) -> ChangeSet:
    return change_set.model_copy(update={"tree_sha": tree})


@pytest.mark.parametrize(
    ("mode", "name", "content", "code"),
    [
        (LINK, "out", b"/etc/passwd", "symlink_leads_out"),
        (LINK, "out", b"../x", "symlink_leads_out"),
        (COMMIT, "sub", b"", "nested_repository"),
        (FILE, ".gitmodules", b'[submodule "x"]\n\tpath = x\n\turl = ../x\n', "gitmodules_changed"),
        (FILE, ".GITMODULES", b"x\n", "gitmodules_changed"),
        (FILE, "gitmod~1", b"x\n", "gitmodules_changed"),
        (FILE, "gi7eba~1", b"x\n", "gitmodules_changed"),
        (FILE, "x" * 256, b"x\n", "uncommittable_tree"),
        *((FILE, name, b"x\n", "uncommittable_tree") for name in BAD_NAMES),
    ],
)
async def test_a_record_that_claims_another_tree_is_judged_by_that_tree(
    checkout: GitCheckout, smith: Smith, request_for: Any, mode: str, name: str, content: bytes, code: str
) -> None:
    change_set = await checkout.capture(())
    sha = checkout.repository.base_sha if mode == COMMIT else await smith.blob(content)
    request = request_for(claim(change_set, await smith.tree((mode, name, sha))))
    with pytest.raises(StepFailedError) as caught:
        await checkout.commit(request)
    assert caught.value.code == code
    assert await smith.trusted() == set()


async def test_gitmodules_cannot_be_changed_in_the_tree(checkout: GitCheckout) -> None:
    (checkout.repository.tree / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = ../x\n')
    with pytest.raises(StepFailedError) as caught:
        await checkout.capture(())
    assert caught.value.code == "gitmodules_changed"


async def test_what_is_pushed_comes_from_the_trusted_repository_alone(
    host: Any, job_id: JobId, checkout: GitCheckout, request_for: Any, draft: Any, repo: Any
) -> None:
    await checkout.workspace.write("new.txt", b"new\n")
    head = await checkout.commit(request_for(await checkout.capture(())))
    checkout.repository.quarantine.path.rename(checkout.repository.folder / "away")
    base = await host.resolve_base(None)
    pull_request = await host.publish(job_id, checkout, head, base, draft)
    assert repo.git("rev-parse", pull_request.branch) == head


async def test_the_history_before_the_job_is_neither_sent_nor_judged(
    make_repo: Any, make_host: Any, request_for: Any
) -> None:
    repo = make_repo("old")
    repo.write("a.txt")
    first = repo.commit()
    odd = repo.git("cat-file", "commit", first).replace("author A U Thor ", "author A U Thor", 1)
    sha = repo.git("hash-object", "-w", "-t", "commit", "--literally", "--stdin", stdin=f"{odd}\n".encode())
    newer = repo.git("commit-tree", "-p", sha, "-m", "newer", repo.tree(first))
    repo.git("update-ref", "refs/heads/main", newer)
    host = make_host(repo.path)
    checkout = await host.open(JobId(new_uuid()), (await host.resolve_base(None)).sha)
    await checkout.workspace.write("new.txt", b"new\n")
    assert await checkout.commit(request_for(await checkout.capture(())))


async def test_the_quarantine_is_out_of_every_other_users_reach(checkout: GitCheckout) -> None:
    await checkout.workspace.write("new.txt", b"new\n")
    await checkout.capture(())
    folder: Path = checkout.repository.folder
    modes = {path.name: path.stat().st_mode & 0o077 for path in await asyncio.to_thread(lambda: [*folder.iterdir()])}
    assert {name for name, mode in modes.items() if mode} <= {"index", "base-index", "laid", "lock"}
    assert (folder / "index").stat().st_mode & 0o022 == 0
