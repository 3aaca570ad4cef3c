"""A password for git is made late, given to git alone, and reaches no other server, file, argument or program."""

import asyncio
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aicd_core.errors import AicdError, InvalidInputError, UnavailableError
from aicd_core.ids import JobId, new_uuid
from aicd_github.git.askpass import is_for, origin_of
from aicd_github.git.credentials import Access, Credential, Login
from aicd_github.local.host import LocalCodeHost
from aicd_github.testing.git_server import GitServer, serving

SECRET = "made-for-this-test"


@dataclass
class Mint:
    """Makes the one credential that the test's server takes, and notes what for."""

    secret: str = SECRET
    minted: list[Access] = field(default_factory=list)

    async def mint(self, access: Access) -> Credential:
        self.minted.append(access)
        return Credential("x-access-token", self.secret)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def served(repo: Any, tmp_path: Path) -> Iterator[GitServer]:
    """Serves `project.git` to whoever has the secret."""
    bare = tmp_path / "served/project.git"
    repo.git("clone", "-q", "--bare", ".", str(bare))
    repo.git("--git-dir", str(bare), "config", "http.receivepack", "true")
    with serving(GitServer(bare.parent, login=("x-access-token", SECRET))) as running:
        yield running


@pytest.fixture
def attacker(tmp_path: Path) -> Iterator[GitServer]:
    """A server that asks everybody for a password and notes what it is told."""
    with serving(GitServer(tmp_path, login=("nobody", "nothing"))) as running:
        yield running


@pytest.fixture
def mint() -> Mint:
    return Mint()


@pytest.fixture
def web_host(served: GitServer, data_dir: Path, sandbox: Any, mint: Mint) -> LocalCodeHost:
    return LocalCodeHost(served.url("project.git"), data_dir, sandbox, 60, credentials=mint)


async def run_job(
    host: LocalCodeHost, request_for: Any, draft: Any, plant: Callable[[Path], None] | None = None
) -> str:
    job_id = JobId(new_uuid())
    base = await host.resolve_base(None)
    checkout = await host.open(job_id, base.sha)
    await checkout.workspace.run("env > environment.txt")
    if plant is not None:
        plant(checkout.repository.folder)
    head: str = await checkout.commit(request_for(await checkout.capture(())))
    await host.publish(job_id, checkout, head, base, draft)
    return head


async def test_a_job_on_a_private_repository_logs_in_for_each_fetch_and_push(
    web_host: LocalCodeHost, served: GitServer, mint: Mint, request_for: Any, draft: Any, repo: Any
) -> None:
    head = await run_job(web_host, request_for, draft)
    assert repo.git("--git-dir", str(served.root / "project.git"), "cat-file", "-t", head) == "commit"
    # Look, fetch, catch up with the branch, push: each its own, as narrow.
    assert mint.minted == [Access.READ, Access.READ, Access.READ, Access.WRITE]


@pytest.fixture
def spied_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every argument and environment variable that git is started with goes to this file."""
    log = tmp_path / "spied.txt"
    shim = tmp_path / "shim/git"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\n{{ echo "$@"; env; }} >> {log}\nexec {shutil.which("git")} "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    return log


async def test_the_secret_is_in_no_argument_no_environment_and_no_file(
    web_host: LocalCodeHost, data_dir: Path, request_for: Any, draft: Any, spied_git: Path
) -> None:
    head = await run_job(web_host, request_for, draft)
    assert f"{head}:refs/heads/" in spied_git.read_text()
    assert "GIT_ASKPASS" in spied_git.read_text()
    kept = [spied_git, *(path for path in data_dir.rglob("*") if path.is_file())]
    assert [path for path in kept if SECRET.encode() in path.read_bytes()] == []


async def test_the_secret_shows_in_no_representation() -> None:
    assert SECRET not in repr(Login("https://example.com/x", Credential("name", SECRET)))


async def test_a_refused_secret_is_told_without_the_secret(served: GitServer, data_dir: Path, sandbox: Any) -> None:
    host = LocalCodeHost(served.url("project.git"), data_dir, sandbox, 60, credentials=Mint("another"))
    with pytest.raises(UnavailableError) as caught:
        await host.resolve_base(None)
    assert "Authentication failed" in caught.value.message
    assert "another" not in str(caught.value.message)


@pytest.mark.parametrize("part", ["", "two\nlines", "x" * 5000, "tab\t"])
def test_a_secret_that_git_could_misread_is_refused(part: str) -> None:
    with pytest.raises(InvalidInputError) as caught, Login("https://x", Credential("name", part)).questions():
        pass
    assert caught.value.code == "bad_credential"


def ask(question: str, url: str = "http://127.0.0.1:1/x", times: int = 1) -> list[tuple[int, bytes]]:
    with Login(url, Credential("name", SECRET)).questions() as questions:
        return [
            (done.returncode, done.stdout)
            for done in (
                subprocess.run(
                    [questions.variables["GIT_ASKPASS"], question],
                    env=dict(questions.variables),
                    pass_fds=questions.descriptors,
                    capture_output=True,
                )
                for _ in range(times)
            )
        ]


def test_the_secret_is_told_once() -> None:
    question = "Password for 'http://name@127.0.0.1:1': "
    assert ask(question, times=2) == [(0, SECRET.encode() + b"\n"), (1, b"")]


@pytest.mark.parametrize(
    "question",
    [
        "Password for 'http://name@127.0.0.1:2': ",
        "Password for 'https://name@127.0.0.1:1': ",
        "Password for 'http://127.0.0.1:1@evil.example': ",
        "Password for 'http://127.0.0.1:1.evil.example': ",
        "Password for 'http://name@127.0.0.1:bad': ",
        "Username for 'http://127.0.0.1:1': ",
        "Enter passphrase for key '/root/.ssh/id': ",
        "",
    ],
)
def test_no_other_origin_and_no_other_question_is_answered(question: str) -> None:
    assert ask(question) == [(1, b"")]


def test_an_origin_is_the_same_however_it_is_written() -> None:
    assert is_for("Password for 'https://name@EXAMPLE.com:443': ", origin_of("HTTPS://example.com/a/b"))


def test_a_missing_helper_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _: "/nonexistent")
    with pytest.raises(UnavailableError) as caught, Login("https://x", Credential("a", "b")).questions():
        pass
    assert caught.value.code == "askpass_missing"


async def test_a_redirect_to_another_server_takes_no_secret_along(
    web_host: LocalCodeHost, served: GitServer, attacker: GitServer, request_for: Any, draft: Any
) -> None:
    await web_host.resolve_base(None)
    served.redirect = f"http://127.0.0.1:{attacker.port}"
    with pytest.raises(AicdError):
        await web_host.resolve_base(None)
    assert (attacker.requests, attacker.authorizations) == ([], [])


@pytest.fixture
def hostile_settings(attacker: GitServer, served: GitServer, tmp_path: Path) -> str:
    """Settings that send everything to the attacker and run its program."""
    touch = f"touch {tmp_path}/canary"
    evil, good = f"http://127.0.0.1:{attacker.port}/", f"http://127.0.0.1:{served.port}/"
    return (
        f"[http]\n\tproxy = {evil}\n\tfollowRedirects = true\n"
        f'[core]\n\tsshCommand = "{touch}"\n\taskPass = {tmp_path}/evil\n'
        f'[credential]\n\thelper = "!{touch}"\n[url "{evil}"]\n\tinsteadOf = {good}\n\tpushInsteadOf = {good}\n'
        f'[credential "{good}"]\n\thelper = "!{touch}; cat > {tmp_path}/stolen"\n'
        f'[core]\n\thooksPath = {tmp_path}/hooks\n[protocol "ext"]\n\tallow = always\n'
    )


def plant_program(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ntouch {tmp_path}/canary\n")
    path.chmod(0o755)


async def test_settings_of_the_machine_the_user_and_the_tree_send_nothing_elsewhere(
    web_host: LocalCodeHost,
    attacker: GitServer,
    hostile_settings: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request_for: Any,
    draft: Any,
) -> None:
    home = tmp_path / "home"
    plant_program(tmp_path / "evil", tmp_path)
    for hook in ("pre-push", "post-index-change", "reference-transaction"):
        plant_program(tmp_path / "hooks" / hook, tmp_path)
    for place in (home / ".gitconfig", home / "git/config", tmp_path / "system"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(hostile_settings)
    (home / ".netrc").write_text("default login x password y\n")
    for name, value in {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "GIT_CONFIG_SYSTEM": str(tmp_path / "system"),
        "GIT_CONFIG_GLOBAL": str(tmp_path / "system"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.proxy",
        "GIT_CONFIG_VALUE_0": f"http://127.0.0.1:{attacker.port}",
        "GIT_ASKPASS": str(tmp_path / "evil"),
        "SSH_ASKPASS": str(tmp_path / "evil"),
        "GIT_PROXY_COMMAND": str(tmp_path / "evil"),
    }.items():
        monkeypatch.setenv(name, value)
    liveness = await asyncio.to_thread(
        subprocess.run,
        ["git", "ls-remote", "http://127.0.0.1:9/"],
        cwd="/",
        capture_output=True,
        env={**os.environ, "GIT_CONFIG_COUNT": "0"},
    )
    assert liveness.returncode != 0
    assert attacker.requests  # the settings do bite a git that obeys them
    attacker.requests.clear()
    attacker.authorizations.clear()
    (tmp_path / "canary").unlink(missing_ok=True)

    def plant(folder: Path) -> None:
        tree = folder / "tree"
        (tree / ".git").mkdir()
        (tree / ".git/config").write_text(hostile_settings)
        (tree / ".gitconfig").write_text(hostile_settings)

    await run_job(web_host, request_for, draft, plant)
    assert (attacker.requests, attacker.authorizations) == ([], [])
    assert not (tmp_path / "canary").exists()


async def test_settings_that_got_into_the_mirror_are_thrown_away(
    web_host: LocalCodeHost, data_dir: Path, attacker: GitServer, hostile_settings: str, repo: Any, served: GitServer
) -> None:
    base = await web_host.resolve_base(None)
    (mirror,) = (data_dir / "mirrors").glob("*.git")
    clean = (mirror / "config").read_text()
    (mirror / "config").write_text(clean + hostile_settings)
    newer = repo.git(
        "--git-dir", str(served.root / "project.git"), "commit-tree", "-p", base.sha, "-m", "n", repo.tree()
    )
    repo.git("--git-dir", str(served.root / "project.git"), "update-ref", "refs/heads/main", newer)
    assert (await web_host.resolve_base(None)).sha == newer
    assert (mirror / "config").read_text() == clean
    assert attacker.requests == []


@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("config", None),
        ("config.worktree", None),
        ("hooks/pre-push", "#!/bin/sh\n"),
        ("objects/info/alternates", "/somewhere/else/objects\n"),
        ("objects/info/http-alternates", "http://127.0.0.1:9/objects\n"),
        ("commondir", "/somewhere/else\n"),
        ("info/attributes", "* filter=x\n"),
    ],
)
async def test_nothing_is_pushed_from_a_repository_that_somebody_changed(
    web_host: LocalCodeHost,
    attacker: GitServer,
    hostile_settings: str,
    mint: Mint,
    place: str,
    content: str | None,
    request_for: Any,
    draft: Any,
) -> None:
    def plant(folder: Path) -> None:
        file = folder / "repo.git" / place
        file.parent.mkdir(exist_ok=True)
        file.write_text(content or hostile_settings)

    job_id = JobId(new_uuid())
    base = await web_host.resolve_base(None)
    checkout = await web_host.open(job_id, base.sha)
    head = await checkout.commit(request_for(await checkout.capture(())))
    plant(checkout.repository.folder)
    with pytest.raises(UnavailableError) as caught:
        await web_host.publish(job_id, checkout, head, base, draft)
    assert caught.value.code == "repository_tampered"
    assert Access.WRITE not in mint.minted
    assert attacker.requests == []


async def test_a_server_cannot_name_another_one_to_take_objects_from(
    repo: Any, tmp_path: Path, data_dir: Path, sandbox: Any
) -> None:
    bare = tmp_path / "bait/project.git"
    repo.git("clone", "-q", "--bare", ".", str(bare))
    repo.git("--git-dir", str(bare), "update-server-info")
    objects = tmp_path / "inner/project.git/objects"
    objects.parent.mkdir(parents=True)
    (bare / "objects").rename(objects)
    (bare / "objects/info").mkdir(parents=True)
    with serving(GitServer(tmp_path / "inner", dumb=True)) as inner, serving(GitServer(bare.parent, dumb=True)) as bait:
        for name in ("alternates", "http-alternates"):
            (bare / "objects/info" / name).write_text(f"{inner.url('project.git')}/objects\n")
        with pytest.raises(UnavailableError):
            await LocalCodeHost(bait.url("project.git"), data_dir, sandbox, 60).resolve_base(None)
        assert inner.requests == []
        followed = await asyncio.to_thread(
            subprocess.run,
            [
                "git",
                "-c",
                "http.followRedirects=true",
                "clone",
                "-q",
                bait.url("project.git"),
                str(tmp_path / "followed"),
            ],
            capture_output=True,
        )
        assert followed.returncode == 0
        assert inner.requests  # a git that follows does ask there
