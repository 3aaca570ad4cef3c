"""Ways to make git run a program or read what is not its own, planted in a tree that a whole job is then done on.

Each is first shown to bite a git that is run in such a tree as anybody would run it.
"""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aicd_core.errors import StepFailedError
from aicd_core.ids import JobId
from aicd_github.checkout import GitCheckout
from aicd_github.git.environment import SETTINGS


@dataclass(frozen=True)
class Vector:
    """Settings and attributes of a repository, and what its owner would do to be hit; `TOUCH` makes the canary."""

    name: str
    config: str
    trigger: str
    attributes: str = ""
    hook: str | None = None

    def __str__(self) -> str:
        return self.name


EDIT = "echo more >> README.md"
MERGE = (
    "git checkout -q -b side && echo s > README.md && git commit -qam s && git checkout -q - && "
    "echo m > README.md && git commit -qam m; git merge side"
)
VECTORS = [
    Vector("hook", "", f"{EDIT}; git add -A", hook="post-index-change"),
    Vector("hook of a commit", "", f"{EDIT}; git commit -qam x", hook="pre-commit"),
    Vector("hook of a ref", "", "git update-ref refs/heads/x HEAD", hook="reference-transaction"),
    Vector("hooksPath", "[core]\n\thooksPath = evil-hooks\n", f"{EDIT}; git commit -qam x"),
    Vector("fsmonitor", '[core]\n\tfsmonitor = "TOUCH"\n', "git status"),
    Vector("clean filter", '[filter "x"]\n\tclean = "TOUCH"\n', f"{EDIT}; git add -A", "* filter=x\n"),
    Vector(
        "smudge filter", '[filter "x"]\n\tsmudge = "TOUCH"\n', "rm README.md; git checkout README.md", "* filter=x\n"
    ),
    Vector("process filter", '[filter "x"]\n\tprocess = "TOUCH"\n', f"{EDIT}; git add -A", "* filter=x\n"),
    Vector("textconv", '[diff "x"]\n\ttextconv = "TOUCH; cat"\n', f"{EDIT}; git diff", "* diff=x\n"),
    Vector("diff driver", '[diff "x"]\n\tcommand = "TOUCH"\n', f"{EDIT}; git diff", "* diff=x\n"),
    Vector("external diff", '[diff]\n\texternal = "TOUCH; :"\n', f"{EDIT}; git diff"),
    Vector("merge driver", '[merge "x"]\n\tdriver = "TOUCH"\n', MERGE, "* merge=x\n"),
    Vector("sshCommand", '[core]\n\tsshCommand = "TOUCH; :"\n', "git ls-remote ssh://127.0.0.1/x"),
    Vector(
        "insteadOf",
        '[url "ext::sh -c TOUCH% "]\n\tinsteadOf = http://127.0.0.1:9/\n[protocol "ext"]\n\tallow = always\n',
        "git ls-remote http://127.0.0.1:9/",
    ),
    Vector(
        "pushInsteadOf",
        '[url "ext::sh -c TOUCH% "]\n\tpushInsteadOf = http://127.0.0.1:9/\n[protocol "ext"]\n\tallow = always\n',
        "git push http://127.0.0.1:9/ HEAD",
    ),
    Vector(
        "credential helper",
        '[credential]\n\thelper = "!TOUCH; :"\n',
        "printf 'protocol=https\\nhost=x\\n\\n' | GIT_TERMINAL_PROMPT=0 git credential fill",
    ),
    Vector("includeIf", '[includeIf "gitdir:**"]\n\tpath = ../evil.inc\n', "git status"),
    Vector("alias", '[alias]\n\tx = "!TOUCH"\n', "git x"),
    Vector("pager", '[core]\n\tpager = "TOUCH"\n', "script -qec 'git -p log' /dev/null"),
    Vector("editor", '[core]\n\teditor = "TOUCH"\n', f"{EDIT}; git commit -a"),
    Vector("gpg program", "[gpg]\n\tprogram = ./evil-hooks/pre-commit\n", f"{EDIT}; git commit -q -a -m x -S"),
    Vector(
        "alternateRefsCommand",
        '[core]\n\talternateRefsCommand = "TOUCH; :"\n',
        "git clone -q --bare . alt; echo $PWD/alt/objects > .git/objects/info/alternates; "
        "git receive-pack . </dev/null",
    ),
]


def plant(vector: Vector, tree: Path, touch: str) -> None:
    """Makes the tree a repository that is armed with the vector."""
    run = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run([*run, "init", "-q"], cwd=tree, check=True)
    subprocess.run([*run, "add", "-A"], cwd=tree, check=True)
    subprocess.run([*run, "commit", "-q", "-m", "x"], cwd=tree, check=True)
    people = "[user]\n\tname = x\n\temail = x@example.com\n"
    with (tree / ".git/config").open("a") as config:
        config.write(people + vector.config.replace("TOUCH%", touch.replace(" ", "% ")).replace("TOUCH", touch))
    (tree / "evil.inc").write_text(f'[core]\n\tfsmonitor = "{touch}"\n')
    for place in filter(None, (vector.hook and f".git/hooks/{vector.hook}", "evil-hooks/pre-commit")):
        hook = tree / place
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{touch}\n")
        hook.chmod(0o755)
    if vector.attributes:
        (tree / ".gitattributes").write_text(vector.attributes)
        (tree / ".git/info").mkdir(exist_ok=True)
        (tree / ".git/info/attributes").write_text(vector.attributes)


async def whole_job(host: Any, checkout: GitCheckout, job_id: JobId, request_for: Any, draft: Any) -> Any:
    change_set = await checkout.capture(())
    await checkout.workspace.diff()
    head = await checkout.commit(request_for(change_set))
    await checkout.restore(change_set)
    base = await host.resolve_base(None)
    await host.publish(job_id, checkout, head, base, draft)
    await checkout.restore(None)
    return change_set


@pytest.fixture
async def checkout(host: Any, job_id: JobId) -> GitCheckout:
    return await host.open(job_id, (await host.resolve_base(None)).sha)


@pytest.mark.parametrize("vector", VECTORS, ids=str)
async def test_no_program_that_a_tree_names_runs(
    vector: Vector,
    host: Any,
    checkout: GitCheckout,
    job_id: JobId,
    tmp_path: Path,
    request_for: Any,
    draft: Any,
    machine: Callable[[str, Path], None],
) -> None:
    canary = tmp_path / "canary"
    bait = tmp_path / "bait/tree"
    shutil.copytree(checkout.repository.tree, bait)
    plant(vector, bait, f"touch {canary}")
    machine(vector.trigger, bait)
    assert canary.exists(), "the vector does not bite at all"
    canary.unlink()
    plant(vector, checkout.repository.tree, f"touch {canary}")
    (checkout.repository.tree / ".gitconfig").write_text(vector.config.replace("TOUCH", f"touch {canary}"))
    with (checkout.repository.tree / "README.md").open("a") as file:
        file.write("more\n")
    change_set = await whole_job(host, checkout, job_id, request_for, draft)
    assert not canary.exists()
    assert {"README.md", ".gitconfig"} <= {change.path for change in change_set.files}
    assert not any(change.path.startswith(".git/") for change in change_set.files)


@pytest.fixture
def machine() -> Callable[[str, Path], None]:
    """Runs a shell line as somebody who trusts the tree would; whether it succeeds is no matter."""

    def run(line: str, folder: Path) -> None:
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["/bin/sh", "-c", line], cwd=folder, env=env, capture_output=True, timeout=60)

    return run


def a_repository(folder: Path, content: bytes) -> str:
    """A repository of another tenant with one file; returns the file's object."""
    folder.mkdir(parents=True)
    run = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run([*run, "init", "-q"], cwd=folder, check=True)
    (folder / "secret.txt").write_bytes(content)
    subprocess.run([*run, "add", "-A"], cwd=folder, check=True)
    subprocess.run([*run, "commit", "-q", "-m", "x"], cwd=folder, check=True)
    shown = subprocess.run([*run, "rev-parse", "HEAD:secret.txt"], cwd=folder, check=True, capture_output=True)
    return shown.stdout.decode().strip()


@pytest.fixture
def other_tenant(tmp_path: Path) -> tuple[Path, str]:
    """Another tenant's repository, and the name of an object in it."""
    return tmp_path / "tenant", a_repository(tmp_path / "tenant", b"their secret\n")


def holds(repository: Path, sha: str) -> bool:
    """Whether git finds the object there, borrowed ones among them."""
    asked = subprocess.run(["git", "cat-file", "-e", sha], cwd=repository, capture_output=True)
    return asked.returncode == 0


def _file(path: Path, content: str) -> None:
    path.write_text(content)


def _git_folder(tree: Path, name: str, content: str) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)
    (tree / ".git" / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / ".git" / name).write_text(content)


def _bare(tree: Path, other: Path) -> None:
    (tree / "HEAD").write_text("ref: refs/heads/main\n")
    (tree / "config").write_text(f"[core]\n\tbare = false\n\tworktree = {other}\n")
    (tree / "refs").mkdir()
    (tree / "objects/info").mkdir(parents=True)
    (tree / "objects/info/alternates").write_text(f"{other}/.git/objects\n")


PLANTS: dict[str, Callable[[Path, Path], None]] = {
    "gitfile": lambda tree, other: _file(tree / ".git", f"gitdir: {other}/.git\n"),
    "link to a git folder": lambda tree, other: (tree / ".git").symlink_to(other / ".git"),
    "commondir": lambda tree, other: _git_folder(tree, "commondir", f"{other}/.git\n"),
    "alternates": lambda tree, other: _git_folder(tree, "objects/info/alternates", f"{other}/.git/objects\n"),
    "core.worktree": lambda tree, other: _git_folder(tree, "config", f"[core]\n\tworktree = {other}\n\tbare = false\n"),
    "shape of a bare repository": _bare,
}


@pytest.mark.parametrize("kind", PLANTS)
async def test_nothing_of_another_tenant_gets_into_the_job(
    kind: str,
    host: Any,
    checkout: GitCheckout,
    job_id: JobId,
    other_tenant: tuple[Path, str],
    request_for: Any,
    draft: Any,
    repo: Any,
) -> None:
    other, sha = other_tenant
    assert holds(other, sha)
    PLANTS[kind](checkout.repository.tree, other)
    (checkout.repository.tree / "new.txt").write_text("new\n")
    change_set = await whole_job(host, checkout, job_id, request_for, draft)
    assert "secret.txt" not in {change.path for change in change_set.files}
    assert "README.md" not in {change.path for change in change_set.files}
    for place in (checkout.repository.path, checkout.repository.quarantine.path, repo.path):
        assert not holds(place, sha)


@pytest.mark.parametrize("kind", ["folder", "gitfile", "link", "empty folder"])
async def test_a_repository_inside_of_the_tree_is_never_looked_into(
    kind: str, checkout: GitCheckout, other_tenant: tuple[Path, str]
) -> None:
    other, _ = other_tenant
    inner = checkout.repository.tree / "deep/inner"
    inner.mkdir(parents=True)
    if kind == "gitfile":
        (inner / ".git").write_text(f"gitdir: {other}/.git\n")
    elif kind == "link":
        (inner / ".git").symlink_to(other / ".git")
    elif kind == "folder":
        shutil.copytree(other / ".git", inner / ".git")
    else:
        (inner / ".git").mkdir()
    for measure in (checkout.capture(()), checkout.diff()):
        with pytest.raises(StepFailedError, match="deep/inner") as caught:
            await measure
        assert caught.value.code == "nested_repository"


async def test_files_of_the_base_cannot_be_hidden_behind_an_ignored_repository(
    repo: Any, host: Any, job_id: JobId
) -> None:
    repo.write("vendor/lib/a.txt")
    repo.commit()
    checkout = await host.open(job_id, (await host.resolve_base(None)).sha)
    (checkout.repository.tree / ".gitignore").write_text("vendor/\n")
    (checkout.repository.tree / "vendor/lib/.git").mkdir()
    with pytest.raises(StepFailedError, match="vendor/lib") as caught:
        await checkout.capture(())
    assert caught.value.code == "nested_repository"


@pytest.mark.parametrize("name", [".git::$INDEX_ALLOCATION", ".git...", "GIT~1", ".git\\x", "\ufeff.git", ".gi\u200ft"])
@pytest.mark.parametrize("below", ["", "deep/"])
async def test_names_that_some_file_system_takes_for_git_are_refused(
    checkout: GitCheckout, name: str, below: str
) -> None:
    folder = checkout.repository.tree / f"{below}{name}"
    folder.mkdir(parents=True)
    (folder / "config").write_text("[core]\n")
    with pytest.raises(StepFailedError) as caught:
        await checkout.capture(())
    assert caught.value.code == "uncommittable_tree"


async def test_git_is_never_run_in_a_tree(
    host: Any,
    checkout: GitCheckout,
    job_id: JobId,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request_for: Any,
    draft: Any,
) -> None:
    log = tmp_path / "spied.txt"
    shim = tmp_path / "shim/git"
    shim.parent.mkdir()
    real = shutil.which("git")
    shim.write_text(f'#!/bin/sh\necho "$(pwd) $GIT_DIR $GIT_WORK_TREE $GIT_INDEX_FILE $@" >> {log}\nexec {real} "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:/usr/local/bin:/usr/bin:/bin")
    (checkout.repository.tree / "README.md").write_text("new\n")
    await whole_job(host, checkout, job_id, request_for, draft)
    assert "checkout-index" in log.read_text()
    assert str(checkout.repository.tree) not in log.read_text()


def test_every_setting_that_names_a_program_is_switched_off() -> None:
    names = {setting.partition("=")[0].lower() for setting in SETTINGS}
    assert {
        "core.hookspath",
        "core.fsmonitor",
        "core.alternaterefscommand",
        "core.askpass",
        "credential.helper",
        "protocol.ext.allow",
        "http.followredirects",
    } <= names
