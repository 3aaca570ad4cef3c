"""A server that serves less than the best, or a clone that is not whole, costs more or is told."""

import logging
from pathlib import Path
from typing import Any

import pytest
from served_world import fetches, kinds, mirror_of, no_proxy, origin, put, server

from aicd_core.errors import InvalidInputError, StepFailedError, UnavailableError
from aicd_core.ids import JobId
from aicd_github.git import environment
from aicd_github.git.environment import Transport, git_environment
from aicd_github.git.mirror import Mirror
from aicd_github.git.remote import Remote
from aicd_github.git.runner import Git, GitCall, Place
from aicd_github.history import open_history
from aicd_github.testing.git_server import GitServer

__all__ = ["no_proxy", "origin", "put", "server"]


async def test_a_server_that_is_away_when_files_are_needed_is_told(
    server: GitServer, make_host: Any, job_id: JobId
) -> None:
    host = make_host(server.url("project.git"))
    base = await host.resolve_base(None)
    server.status = 503
    with pytest.raises(
        UnavailableError, match="files of the base commit could not be fetched from http://127"
    ) as caught:
        await host.open(job_id, base.sha)
    assert caught.value.code == "git_failed"
    server.status = None
    checkout = await host.open(job_id, base.sha)
    assert await checkout.workspace.read("README.md")


async def test_a_server_without_filters_sends_whole_commits_and_the_log_says_so(
    origin: Any, server: GitServer, make_host: Any, data_dir: Path, job_id: JobId, caplog: pytest.LogCaptureFixture
) -> None:
    origin.git("--git-dir", str(server.root / "project.git"), "config", "uploadpack.allowFilter", "false")
    host = make_host(server.url("project.git"))
    with caplog.at_level(logging.WARNING):
        base = await host.resolve_base(None)
    assert "no uploadpack.allowFilter" in caplog.text
    assert kinds(origin, mirror_of(data_dir)) == {"commit": 1, "tree": 5, "blob": 7}
    before = fetches(server)
    await host.open(job_id, base.sha)
    assert fetches(server) == before


async def test_a_server_that_serves_no_single_files_is_fetched_whole(
    origin: Any, server: GitServer, make_host: Any, data_dir: Path, job_id: JobId, monkeypatch: Any, caplog: Any
) -> None:
    monkeypatch.setattr(Remote, "settings", lambda self, plain=Remote.settings: (*plain(self), "protocol.version=0"))
    host = make_host(server.url("project.git"))
    base = await host.resolve_base(None)
    assert kinds(origin, mirror_of(data_dir))["blob"] == 0
    checkout = await host.open(job_id, base.sha)
    assert await checkout.workspace.read("README.md")
    assert "serves no single files" in caplog.text


async def test_a_plain_web_server_is_fetched_whole(
    origin: Any, server: GitServer, data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    origin.git("--git-dir", str(server.root / "project.git"), "update-server-info")
    server.dumb = True
    sha = origin.git("rev-parse", "main")
    mirror = Mirror(Git(), data_dir / "x.git", Remote(server.url("project.git"), Transport.WEB), "sha1")
    await mirror.ensure("main", sha)
    assert await mirror.commit_of("main") == sha
    assert kinds(origin, mirror.path)["blob"] > 7
    assert "plain web server" in caplog.text


async def test_files_that_nobody_has_any_more_are_told(origin: Any, server: GitServer, data_dir: Path) -> None:
    mirror = Mirror(Git(), data_dir / "x.git", Remote(server.url("project.git"), Transport.WEB), "sha1")
    await mirror.fetch("main")
    with pytest.raises(UnavailableError, match="Start a new job") as caught:
        await mirror.complete(["1" * 40])
    assert caught.value.code == "objects_gone"


async def test_a_base_that_the_server_does_not_have_costs_one_question(
    origin: Any, server: GitServer, make_host: Any, data_dir: Path, job_id: JobId
) -> None:
    with pytest.raises(StepFailedError, match="not on any branch") as caught:
        await make_host(server.url("project.git")).open(job_id, "1" * 40)
    assert caught.value.code == "base_gone"
    assert fetches(server) == 1
    assert kinds(origin, mirror_of(data_dir))["commit"] == 0


async def test_a_base_is_found_among_all_branches_where_commits_are_not_served_by_name(
    origin: Any, server: GitServer, put: Any, make_host: Any, job_id: JobId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Remote, "settings", lambda self, plain=Remote.settings: (*plain(self), "protocol.version=0"))
    base_sha = origin.git("rev-parse", "main")
    put({"x": b"moved on\n"})
    checkout = await make_host(server.url("project.git")).open(job_id, base_sha)
    assert "x" not in await checkout.workspace.list()


def test_git_reaches_no_other_repository_unless_the_call_is_about_one() -> None:
    allowed = {kind: git_environment({}, kind)["GIT_ALLOW_PROTOCOL"] for kind in (None, *Transport)}
    assert allowed == {None: "none", "file": "file", "web": "http:https", "ssh": "ssh"}


@pytest.mark.parametrize("knows", ["0", "1"])
async def test_nothing_is_fetched_behind_our_back(
    make_repo: Any, make_host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knows: str
) -> None:
    """A local repository that is a partial clone could have git run a program of its configuration's choice."""
    # With 0, git is as it was before it knew this variable.
    monkeypatch.setitem(environment._CONSTANT, "GIT_NO_LAZY_FETCH", knows)
    whole = make_repo("whole")
    whole.write("file", b"content\n")
    whole.commit()
    whole.git("config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    whole.git("clone", "-q", "--bare", "--filter=blob:none", f"file://{whole.path}", str(partial))
    trap, mark = tmp_path / "trap", tmp_path / "sprung"
    trap.write_text(f'#!/bin/sh\ntouch {mark}\nexec git-upload-pack "$@"\n')
    trap.chmod(0o755)
    whole.git("--git-dir", str(partial), "config", "remote.origin.uploadpack", str(trap))
    blob = whole.git("rev-parse", "HEAD:file")
    result = await Git().run(GitCall(("cat-file", "blob", blob), Place(partial)))
    assert result.returncode != 0
    with pytest.raises(UnavailableError, match="partial clone"):
        await make_host(partial).resolve_base(None)
    assert not mark.exists()
    # The trap is a good one: git as the user runs it walks into it.
    assert whole.git("--git-dir", str(partial), "cat-file", "blob", blob) == "content"
    assert mark.exists()


async def test_the_past_of_a_partial_clone_is_read_as_far_as_it_is_here(origin: Any, tmp_path: Path) -> None:
    origin.git("config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    origin.git("clone", "-q", "--filter=blob:none", f"file://{origin.path}", str(partial))
    git = Git()
    async with open_history(partial, partial / ".git", "sha1", git) as history:
        newest, older, *_ = await history.commits(3)
        with pytest.raises(InvalidInputError, match="git fetch --refetch --no-filter") as caught:
            await history.change(older)
        assert caught.value.code == "partial_clone"
        with pytest.raises(InvalidInputError, match="partial clone"):
            await history.read_before(older, ["README.md"])
    origin.git("-C", str(partial), "fetch", "-q", "--refetch", "--no-filter")
    async with open_history(partial, partial / ".git", "sha1", git) as history:
        assert (await history.change(older)).files
        assert (await history.read_before(newest, ["README.md"]))["README.md"].startswith(b"README.md 3")
