"""Of a repository behind a URL only what a job needs travels; real `git http-backend` on the loopback."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from served_world import POINTER, SPARSE, fetches, kinds, mirror_of, no_proxy, opened, origin, put, server

from aicd_core.contracts import Base
from aicd_core.errors import StepFailedError, UnavailableError
from aicd_core.ids import JobId, new_uuid
from aicd_github.git.environment import Transport
from aicd_github.git.mirror import Mirror
from aicd_github.git.remote import Remote
from aicd_github.git.runner import Git
from aicd_github.testing.git_server import GitServer

__all__ = ["no_proxy", "origin", "put", "server"]


async def test_neither_the_past_nor_its_files_travel(
    origin: Any, server: GitServer, make_host: Any, data_dir: Path, job_id: JobId
) -> None:
    host = make_host(server.url("project.git"))
    base = await host.resolve_base(None)
    mirror = mirror_of(data_dir)
    assert kinds(origin, mirror) == {"commit": 1, "tree": 5, "blob": 0}
    before = fetches(server)
    checkout = await host.open(job_id, base.sha)
    assert fetches(server) - before == 1, "all files come in one request"
    assert kinds(origin, mirror)["blob"] == 7
    assert (mirror / "config").read_text().count("[") == 1, "nothing names a remote"
    server.requests.clear()
    assert (await checkout.workspace.read("web/src/app.js")).startswith(b"web/src/app.js 4\n")
    assert await checkout.read_at_base("lib/a.py")
    await host.open(JobId(new_uuid()), base.sha)
    assert server.requests == [], "what is here is not asked for again"


async def test_a_job_from_clone_to_pull_request_while_the_branch_moves_on(
    origin: Any,
    server: GitServer,
    put: Any,
    make_host: Any,
    job_id: JobId,
    request_for: Any,
    draft: Any,
    data_dir: Path,
) -> None:
    url, bare = server.url("project.git"), server.root / "project.git"
    host = make_host(url)
    base = await host.resolve_base(None)
    checkout = await host.open(job_id, base.sha)
    await checkout.workspace.write("lib/a.py", b"changed\n")
    await checkout.workspace.write("lib/new/c.py", b"new\n")
    change = await checkout.capture(())
    head = await checkout.commit(request_for(change))
    put({"README.md": b"somebody else was faster\n", "lib/deep/b.py": b"here, too\n"})
    before = kinds(origin, bare)
    pull_request = await host.publish(job_id, checkout, head, base, draft)
    after = kinds(origin, bare)
    assert origin.git("--git-dir", str(bare), "rev-parse", pull_request.branch) == head
    assert {kind: after[kind] - before[kind] for kind in after} == {"commit": 1, "tree": 3, "blob": 2}
    assert "lib/deep/b.py" not in origin.git("--git-dir", str(bare), "diff", "--name-only", base.sha, head)
    assert origin.git("--git-dir", str(bare), "fsck", "--strict", "--no-dangling") == ""
    await host.withdraw(job_id)
    # The next job, on what is there now, has all that is new and nothing that is older than the first base.
    again = await host.resolve_base(None)
    other = await host.open(JobId(new_uuid()), again.sha)
    assert await other.read_at_base("README.md") == b"somebody else was faster\n"
    assert kinds(origin, mirror_of(data_dir))["commit"] == 2


async def test_another_machine_goes_on_from_the_record(
    server: GitServer, put: Any, make_host: Any, data_dir: Path, job_id: JobId, request_for: Any
) -> None:
    host = make_host(server.url("project.git"))
    base = await host.resolve_base(None)
    checkout = await host.open(job_id, base.sha)
    await checkout.workspace.write("web/src/app.js", b"changed\n")
    change = await checkout.capture(())
    head = await checkout.commit(request_for(change))
    put({"README.md": b"moved on\n"})
    shutil.rmtree(data_dir)
    elsewhere = await make_host(server.url("project.git")).open(job_id, base.sha)
    await elsewhere.restore(change)
    assert await elsewhere.workspace.read("web/src/app.js") == b"changed\n"
    assert await elsewhere.capture(()) == change
    assert await elsewhere.commit(request_for(change)) == head


async def published_elsewhere(make_host: Any, url: str, job_id: JobId, base: Base, commit: Any, draft: Any) -> Any:
    host = make_host(url)
    checkout = await host.open(job_id, base.sha)
    return await host.publish(job_id, checkout, await checkout.commit(commit), base, draft)


@pytest.mark.parametrize("known", [False, True])
async def test_another_machine_publishes_from_a_commit_that_the_branch_has_left_behind(
    origin: Any,
    server: GitServer,
    put: Any,
    make_host: Any,
    data_dir: Path,
    job_id: JobId,
    request_for: Any,
    draft: Any,
    known: bool,
) -> None:
    put({".aicd.yml": SPARSE})
    base, checkout = await opened(make_host(server.url("project.git")), job_id)
    await checkout.workspace.write("web/src/app.js", b"changed\n")
    commit = request_for(await checkout.capture(()))
    shutil.rmtree(data_dir)
    for number in range(3):
        put({"lib/a.py": b"moved on %d\n" % number})
    if known:  # another job is there already, on the newest commit and nothing before it
        await opened(make_host(server.url("project.git")), JobId(new_uuid()))
        assert kinds(origin, mirror_of(data_dir))["commit"] == 1
    bare = server.root / "project.git"
    before = kinds(origin, bare)
    pull = await published_elsewhere(make_host, server.url("project.git"), job_id, base, commit, draft)
    after = kinds(origin, bare)
    assert {kind: after[kind] - before[kind] for kind in after} == {"commit": 1, "tree": 3, "blob": 1}
    assert origin.git("--git-dir", str(bare), "merge-base", "main", pull.branch) == base.sha


async def test_a_base_that_was_rewritten_away_is_published_or_told(
    origin: Any, server: GitServer, put: Any, make_host: Any, job_id: JobId, request_for: Any, draft: Any
) -> None:
    put({".aicd.yml": SPARSE, "lib/a.py": b"only here\n"})
    host = make_host(server.url("project.git"))
    base, checkout = await opened(host, job_id)
    await checkout.workspace.write("web/src/app.js", b"changed\n")
    head = await checkout.commit(request_for(await checkout.capture(())))
    origin.git("checkout", "-q", "--orphan", "anew")
    put({"README.md": b"all anew\n"})
    with pytest.raises(StepFailedError, match="Start a new job") as caught:
        await host.publish(job_id, checkout, head, base, draft)
    assert caught.value.code == "base_gone"


async def test_a_branch_that_begins_in_the_known_past_cuts_nothing_off(
    origin: Any, server: GitServer, put: Any, data_dir: Path
) -> None:
    mirror = Mirror(Git(), data_dir / "x.git", Remote(server.url("project.git"), Transport.WEB), "sha1")
    first = origin.git("rev-parse", "main")
    await mirror.ensure("main", first)
    middle = put({"x": b"1\n"})
    await mirror.ensure("main", put({"x": b"2\n"}))
    origin.git("--git-dir", str(server.root / "project.git"), "branch", "topic", middle)
    await mirror.ensure("topic", middle)
    assert origin.git("--git-dir", str(mirror.path), "rev-list", "--count", "main") == "3"
    assert (mirror.path / "shallow").read_text() == f"{first}\n"


async def test_branches_are_brought_one_by_one_and_make_way_for_each_other(
    origin: Any, server: GitServer, put: Any, data_dir: Path
) -> None:
    mirror = Mirror(Git(), data_dir / "x.git", Remote(server.url("project.git"), Transport.WEB), "sha1")
    put({"x": b"x\n"}, "topic")
    await mirror.fetch("topic")
    assert kinds(origin, mirror.path)["commit"] == 1
    origin.git("--git-dir", str(server.root / "project.git"), "branch", "-q", "-D", "topic")
    sha = put({"x": b"y\n"}, "topic/deeper/still")
    await mirror.fetch("topic/deeper/still")
    assert await mirror.commit_of("topic/deeper/still") == sha
    assert await mirror.commit_of("topic") is None
    origin.git("--git-dir", str(server.root / "project.git"), "branch", "-q", "-D", "topic/deeper/still")
    sha = put({"x": b"z\n"}, "topic/deeper")
    await mirror.fetch("topic/deeper")
    assert await mirror.commit_of("topic/deeper") == sha
    await mirror.catch_up("topic/gone", sha)
    with pytest.raises(UnavailableError):
        await mirror.fetch("topic/gone")


async def test_a_mirror_that_lost_objects_is_mended(
    origin: Any, server: GitServer, put: Any, make_host: Any, data_dir: Path, job_id: JobId
) -> None:
    host = make_host(server.url("project.git"))
    base = await host.resolve_base(None)
    await host.open(job_id, base.sha)
    for pack in (mirror_of(data_dir) / "objects/pack").glob("*"):
        pack.unlink()
    checkout = await host.open(JobId(new_uuid()), base.sha)
    assert await checkout.workspace.read("README.md")
    sha = put({"README.md": b"next\n"})
    assert (await host.resolve_base(None)).sha == sha
    assert await (await host.open(JobId(new_uuid()), sha)).read_at_base("README.md") == b"next\n"


async def test_packs_are_rolled_up_and_fetching_goes_on(
    origin: Any, server: GitServer, put: Any, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aicd_github.git.mirror._PACK_LIMIT", 2)
    mirror = Mirror(Git(), data_dir / "x.git", Remote(server.url("project.git"), Transport.WEB), "sha1")
    for number in range(6):
        sha = put({"web/index.html": b"%d\n" % number, "lib/a.py": b"%d\n" % -number})
        await mirror.ensure("main", sha)
        await mirror.complete([origin.git("rev-parse", f"{sha}:web/index.html")])
    assert len(list((mirror.path / "objects/pack").glob("*.pack"))) <= 3
    assert kinds(origin, mirror.path)["commit"] == 6
    assert kinds(origin, mirror.path)["blob"] == 6


async def test_pointers_of_lfs_stay_pointers(
    server: GitServer, make_host: Any, job_id: JobId, request_for: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    smudge = tmp_path / "bin/git-lfs"
    smudge.parent.mkdir()
    smudge.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\ncat\n")
    smudge.chmod(0o755)
    monkeypatch.setenv("PATH", f"{smudge.parent}:{os.environ['PATH']}")
    _, checkout = await opened(make_host(server.url("project.git")), job_id)
    assert await checkout.workspace.read("web/logo.psd") == POINTER
    await checkout.workspace.write("web/logo.psd", POINTER.replace(b"a" * 64, b"b" * 64))
    change = await checkout.capture(())
    assert [(file.path, file.new_size) for file in change.files] == [("web/logo.psd", len(POINTER))]
    await checkout.commit(request_for(change))
    assert not (tmp_path / "ran").exists()
