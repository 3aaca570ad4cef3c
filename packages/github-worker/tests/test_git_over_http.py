"""The same job over real HTTP: git's own server program behind a small loopback server."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aicd_core.errors import InvalidInputError, StepFailedError, UnavailableError
from aicd_core.ids import JobId
from aicd_github.testing.git_server import GitServer, serving


@pytest.fixture
def server(repo: Any, tmp_path: Path) -> Iterator[GitServer]:
    """Serves `project.git`, a bare copy of the repository."""
    bare = tmp_path / "served/project.git"
    repo.git("clone", "-q", "--bare", ".", str(bare))
    repo.git("--git-dir", str(bare), "config", "http.receivepack", "true")
    with serving(GitServer(bare.parent)) as running:
        yield running


async def test_a_job_from_clone_to_pull_request(
    repo: Any, server: Any, make_host: Any, job_id: JobId, request_for: Any, draft: Any, monkeypatch: Any
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    url, bare = server.url("project.git"), server.root / "project.git"
    host = make_host(url)
    base = await host.resolve_base(None)
    assert (base.branch, base.sha) == ("main", repo.git("rev-parse", "main"))
    checkout = await host.open(job_id, base.sha)
    await checkout.workspace.write("big.bin", os.urandom(2_000_000))  # over http.postBuffer: chunked
    head = await checkout.commit(request_for(await checkout.capture(())))
    pull_request = await host.publish(job_id, checkout, head, base, draft)
    assert await make_host(url).publish(job_id, checkout, head, base, draft) == pull_request
    assert repo.git("--git-dir", str(bare), "rev-parse", pull_request.branch) == head
    repo.git("--git-dir", str(bare), "update-ref", f"refs/heads/{pull_request.branch}", base.sha)
    with pytest.raises(StepFailedError) as caught:
        await host.publish(job_id, checkout, head, base, draft)
    assert caught.value.code == "branch_taken"
    with pytest.raises(InvalidInputError, match="It has main"):
        await host.resolve_base("zzz")


async def test_a_server_that_asks_for_a_login_or_is_away_is_told(server: Any, make_host: Any, monkeypatch: Any) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    url = server.url("project.git")
    server.status = 401
    with pytest.raises(UnavailableError, match="could not read Username"):
        await make_host(url).resolve_base(None)
    server.status = 404
    with pytest.raises(UnavailableError, match="not found"):
        await make_host(url).resolve_base(None)
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1"):
        await make_host("http://127.0.0.1:9/x.git").resolve_base(None)
