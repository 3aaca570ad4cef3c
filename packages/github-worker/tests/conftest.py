"""Real repositories to start from, a sandbox that only runs what it is told, and a host on both."""

import asyncio
import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from github_world import PERMISSIONS, Hub, make_key
from steering_world import Steered

from aicd_core.contracts import CacheMount, ChangeSet, CommandResult, CommitRequest, Denial, PullRequestDraft
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.ids import JobId, new_uuid
from aicd_core.settings import Settings
from aicd_core.tenancy import Tenant
from aicd_core.testing.databases import TestUrls
from aicd_github.hub.address import RepositoryAddress
from aicd_github.hub.host import GitHubCodeHost
from aicd_github.local.host import LocalCodeHost
from aicd_github.testing.github_server import GitHubServer, serving_github
from aicd_github.testing.node import node_project

WHEN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DRAFT = PullRequestDraft(title="Fix the sum", body="It was off by one.", draft=False)


@dataclass
class DirectSession:
    """Runs commands as they are: no walls, for tests of what is around the sandbox."""

    tree: Path
    cache: CacheMount | None
    timeouts: list[float]
    alive: bool = True
    hosts: list[tuple[str, ...]] = field(default_factory=list)
    refused: list[tuple[str, ...]] = field(default_factory=list)
    refuses: tuple[Denial, ...] = ()

    async def run(
        self,
        command: str,
        *,
        timeout: float,
        stdin: bytes = b"",
        env: dict[str, str] | None = None,
        on_output: Callable[[str], None] | None = None,
        hosts: Sequence[str] = (),
        refused: Sequence[str] = (),
    ) -> CommandResult:
        assert self.alive, "a closed session was used"
        self.timeouts.append(timeout)
        self.hosts.append(tuple(hosts))
        self.refused.append(tuple(refused))
        started = time.monotonic()
        cache = {"AICD_CACHE": str(self.cache.folder)} if self.cache else {}
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", command),
            cwd=self.tree,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=os.environ | cache,
        )
        output, _ = await process.communicate(stdin)
        text = output.decode("utf-8", "replace")
        if on_output:
            on_output(text)
        duration = time.monotonic() - started
        code = process.returncode
        return CommandResult(
            command=command, exit_code=code, output=text, duration=duration, denials=self.refuses if hosts else ()
        )

    async def close(self) -> None:
        self.alive = False


@dataclass
class DirectSandbox:
    """Opens sessions without walls and keeps them."""

    owner: tuple[int, int] | None = None
    timeouts: list[float] = field(default_factory=list)
    sessions: list[DirectSession] = field(default_factory=list)
    refuses: tuple[Denial, ...] = ()

    async def check(self) -> str:
        return "no sandbox at all"

    async def open(self, tree: Path, *, cache: CacheMount | None = None, logs: Path | None = None) -> DirectSession:
        self.sessions.append(DirectSession(tree, cache, self.timeouts, refuses=self.refuses))
        return self.sessions[-1]


def git(folder: Path, *arguments: str, stdin: bytes | None = None) -> str:
    """Runs git as the user would, without this machine's configuration."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "A U Thor",
        "GIT_AUTHOR_EMAIL": "author@example.com",
        "GIT_COMMITTER_NAME": "C O Mitter",
        "GIT_COMMITTER_EMAIL": "committer@example.com",
        "GIT_ALLOW_PROTOCOL": "file:http",
    }
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, input=stdin, capture_output=True, check=False
    )
    assert done.returncode == 0, f"git {arguments}: {done.stderr.decode()}"
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")


@dataclass
class Repo:
    """A repository with a work tree, as a user has it."""

    path: Path

    def git(self, *arguments: str, stdin: bytes | None = None) -> str:
        return git(self.path, *arguments, stdin=stdin)

    def write(self, path: str, content: bytes = b"content\n", *, executable: bool = False) -> Path:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o755 if executable else 0o644)
        return file

    def commit(self, message: str = "a commit") -> str:
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def tree(self, commit: str = "HEAD") -> str:
        return self.git("rev-parse", f"{commit}^{{tree}}")

    def fingerprint(self) -> dict[str, str]:
        """Everything that a job must leave alone, with times: all but objects, logs and our own branches."""
        found = {}
        for folder, folders, names in os.walk(self.path):
            here = Path(folder).relative_to(self.path).as_posix()
            if here.startswith((".git/objects", ".git/logs", ".git/refs/heads/aicd")):
                folders.clear()
                continue
            for name in names:
                file = Path(folder, name)
                info = file.lstat()
                content = bytes(file.readlink()) if file.is_symlink() else file.read_bytes()
                found[f"{here}/{name}"] = f"{info.st_mode} {info.st_mtime_ns} {hashlib.sha256(content).hexdigest()}"
        return found


@pytest.fixture
def make_repo(tmp_path: Path) -> Callable[..., Repo]:
    def make(name: str = "source", *options: str) -> Repo:
        path = tmp_path / name
        path.mkdir(parents=True)
        git(path, "init", "--quiet", "--initial-branch=main", *options)
        return Repo(path)

    return make


@pytest.fixture
def repo(make_repo: Callable[..., Repo]) -> Repo:
    """One commit with one file on `main`."""
    made = make_repo()
    made.write("README.md", b"hello\n")
    made.commit()
    return made


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def sandbox() -> DirectSandbox:
    return DirectSandbox()


@pytest.fixture
def job_id() -> JobId:
    return JobId(new_uuid())


@pytest.fixture
def make_host(data_dir: Path, sandbox: DirectSandbox) -> Callable[[object], LocalCodeHost]:
    return lambda source: LocalCodeHost(str(source), data_dir, sandbox, 60)


@pytest.fixture
def host(repo: Repo, make_host: Callable[[object], LocalCodeHost]) -> LocalCodeHost:
    return make_host(repo.path)


@pytest.fixture
def request_for() -> Callable[[ChangeSet], CommitRequest]:
    return lambda change_set: CommitRequest(change_set=change_set, message="Fix it\n\nJob: 1\n", when=WHEN)


@pytest.fixture
def draft() -> PullRequestDraft:
    return DRAFT


@pytest.fixture
def umask() -> Iterator[None]:
    """A user whose new files nobody else may read."""
    old = os.umask(0o077)
    yield
    os.umask(old)


@pytest.fixture(scope="session")
def node() -> Path:
    """A folder of Node with GitHub's example payloads and its way to sign them."""
    root = Path(__file__).parents[3]
    return node_project(root / "tests" / "node", root / ".tools")


@pytest.fixture(scope="session")
def app_key() -> tuple[str, str]:
    return make_key()


@pytest.fixture
def hub(tmp_path: Path, repo: Repo, app_key: tuple[str, str]) -> Iterator[Hub]:
    """A GitHub with the repository `acme/project`, whose App is installed on it."""
    root = tmp_path / "github"
    root.mkdir()
    with serving_github(GitHubServer(root)) as server:
        served = server.add_repository("acme", "project", repo.path, permissions={"alice": "write", "rita": "read"})
        app = server.add_app("aicd", app_key[1], dict(PERMISSIONS))
        yield Hub(server, served, app, server.install(app, served), app_key[0])


@pytest.fixture
def make_hub_host(hub: Hub, data_dir: Path, sandbox: DirectSandbox) -> Callable[..., GitHubCodeHost]:
    def make(place: Path = data_dir, timeout: float = 20, address: RepositoryAddress | None = None) -> GitHubCodeHost:
        app, at = hub.app(), address or hub.address
        tokens = app.on(at, lambda: app.installation_of(at))
        return GitHubCodeHost(at, tokens, hub.api(timeout), place, sandbox, 60)

    return make


@pytest.fixture
def hub_host(hub: Hub, make_hub_host) -> GitHubCodeHost:
    hub.server.add_issue(hub.repo, "Title", "body", "rita")
    return make_hub_host()


@pytest.fixture
def steered(
    hub: Hub,
    make_hub_host: Callable[..., GitHubCodeHost],
    database: Database,
    system: SystemDatabase,
    tenant: Tenant,
    database_urls: TestUrls,
    data_dir: Path,
) -> Steered:
    """The stand-in's issue 1, and what handles the deliveries about it."""
    issue = hub.server.add_issue(hub.repo, "Greet the world", "Please.", "rita")
    settings = Settings(data_dir=data_dir, github_api_url=hub.server.api)

    @cache
    def host_of(name: str) -> GitHubCodeHost:
        return make_hub_host(address=replace(hub.address, name=name))

    return Steered(hub, host_of, database, system, tenant, database_urls.admin, settings, issue)
