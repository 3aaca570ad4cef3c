"""A repository that real `git http-backend` serves on the loopback, for tests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aicd_core.contracts import Base
from aicd_core.ids import JobId
from aicd_github.testing.git_server import GitServer, serving

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 7\n"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def origin(make_repo: Any) -> Any:
    """Five commits; two folders of code, a link and a pointer of Git LFS."""
    made = make_repo("origin")
    for number in range(5):
        for name in ("web/src/app.js", "web/index.html", "lib/a.py", "lib/deep/b.py", "README.md"):
            made.write(name, f"{name} {number}\n".encode() * 20)
        made.write(".gitattributes", b"*.psd filter=lfs\n")
        made.write("web/logo.psd", POINTER)
        made.commit(f"commit {number}")
    return made


@pytest.fixture
def server(origin: Any, tmp_path: Path) -> Iterator[GitServer]:
    bare = tmp_path / "served/project.git"
    origin.git("clone", "-q", "--bare", ".", str(bare))
    for setting in ("http.receivepack", "uploadpack.allowFilter"):
        origin.git("--git-dir", str(bare), "config", setting, "true")
    with serving(GitServer(bare.parent)) as running:
        yield running


@pytest.fixture
def put(origin: Any, server: GitServer) -> Callable[..., str]:
    """Commits files, or the lack of them, and pushes; returns the commit."""

    def put(files: dict[str, bytes | None], branch: str = "main") -> str:
        for path, content in files.items():
            if content is None:
                (origin.path / path).unlink()
            else:
                origin.write(path, content)
        sha: str = origin.commit()
        origin.git("push", "-q", "--force", str(server.root / "project.git"), f"HEAD:refs/heads/{branch}")
        return sha

    return put


def mirror_of(data_dir: Path) -> Path:
    (found,) = (data_dir / "mirrors").glob("*.git")
    return found


def kinds(origin: Any, repository: Path) -> dict[str, int]:
    """How many objects of each kind a repository holds."""
    listed = origin.git("--git-dir", str(repository), "cat-file", "--batch-check", "--batch-all-objects")
    found = [line.split(" ")[1] for line in listed.splitlines()]
    return {kind: found.count(kind) for kind in ("commit", "tree", "blob")}


def fetches(server: GitServer) -> int:
    return sum(request.startswith("POST") and "git-upload-pack" in request for request in server.requests)


SPARSE = b"version: 1\ncheckout: {sparse: [web]}\n"


async def opened(host: Any, job_id: JobId) -> tuple[Base, Any]:
    base = await host.resolve_base(None)
    return base, await host.open(job_id, base.sha)
