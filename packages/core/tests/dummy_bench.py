"""A folder for the agent without a model to work on, and git beside it, for tests."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aicd_core.agents.dummy import DummyAgent
from aicd_core.contracts import (
    Change,
    ChangeSet,
    CommandResult,
    Evidence,
    Feedback,
    FileChange,
    FileOp,
    Plan,
    PolicyReport,
    PolicyVerdict,
    Review,
    Task,
    TestReport,
    Usage,
)
from aicd_core.errors import NotFoundError, StepFailedError
from aicd_core.patches import parse_patch

Tree = dict[str, bytes | tuple[str, bytes]]
BASE: Tree = {
    "src/x.py": b"one\ntwo\nthree\nfour\nfive\nsix\nseven\n",
    "docs/README.md": b"# Title\n\n```\ncode\n```\n\n   ```sh\nmake\n   ```\nend\n",
    "run.sh": ("100644", b"#!/bin/sh\necho hi\n"),
    "crlf.txt": b"a\r\nb\r\nc\r\n",
    "bare.txt": b"no newline",
    "diffs.txt": b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\ndiff --git a/y b/y\n",
    "caf\u00e9/\u00fc ber.txt": "h\u00e9llo\nw\u00f6rld\n".encode(),
    "empty": b"",
    "link": ("120000", b"src/x.py"),
    "image.bin": b"\0\1\2",
}


def entry(value: bytes | tuple[str, bytes]) -> tuple[str, bytes]:
    return ("100644", value) if isinstance(value, bytes) else value


def lay(folder: Path, tree: Tree) -> None:
    """Makes the folder hold exactly the tree."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, value in tree.items():
        mode, content = entry(value)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if mode == "120000":
            path.symlink_to(content.decode())
        else:
            path.write_bytes(content)
            path.chmod(int(mode[-3:], 8))


def held(folder: Path) -> dict[str, tuple[str, bytes]]:
    """The tree that the folder holds."""
    tree = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            tree[name] = ("120000", str(path.readlink()).encode())
        elif path.is_file():
            tree[name] = ("100755" if path.stat().st_mode & 0o100 else "100644", path.read_bytes())
    return tree


class FolderWorkspace:
    """A workspace over a plain folder, without a sandbox."""

    def __init__(self, folder: Path, base: Tree) -> None:
        self.folder, self.base = folder, base
        self.commands: list[str] = []
        lay(folder, base)

    async def read(self, path: str) -> bytes:
        try:
            return (self.folder / path).read_bytes()
        except FileNotFoundError:
            raise NotFoundError(path) from None

    async def run(
        self, command: str, *, timeout: float | None = None, network: bool = False, stdin: bytes = b""
    ) -> CommandResult:
        self.commands.append(command)
        done = await asyncio.to_thread(
            subprocess.run,
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            input=stdin,
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output = done.stdout.decode("utf-8", "replace")
        return CommandResult(command=command, exit_code=done.returncode, output=output, duration=0.0)

    async def reset(self) -> None:
        lay(self.folder, self.base)


@dataclass
class Session:
    cancelled: bool = False
    said: list[str] = field(default_factory=list)

    def emit(self, message: str) -> None:
        self.said.append(message)

    def spend(self, usage: Usage) -> None:
        raise AssertionError("an agent without a model costs nothing")


class Bench:
    """One agent at work on one folder, with git beside it to make diffs and to measure changes."""

    def __init__(self, root: Path) -> None:
        self.root, self.agent, self.session = root, DummyAgent(), Session()
        self.git("init", "-q", "--bare", str(root / "measure.git"))
        as_it_is = "* -text -eol -ident -filter -working-tree-encoding\n"
        (root / "measure.git" / "info" / "attributes").write_text(as_it_is)
        self.use(BASE)

    def use(self, base: Tree) -> None:
        self.workspace = FolderWorkspace(self.root / "tree", base)
        self.base_sha = self.store(base)

    def git(self, *arguments: str, work_tree: Path | None = None) -> bytes:
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_DIR": str(self.root / "measure.git"),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        if work_tree is not None:
            environment["GIT_WORK_TREE"] = str(work_tree)
        done = subprocess.run(["git", *arguments], env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def store(self, tree: Tree) -> str:
        """The tree's object name."""
        lay(self.root / "scratch", tree)
        return self.capture(self.root / "scratch")

    def capture(self, folder: Path) -> str:
        self.git("--literal-pathspecs", "add", "-A", "-f", ".", work_tree=folder)
        return self.git("write-tree").decode().strip()

    def diff(self, new: Tree, *options: str, base: Tree | None = None) -> str:
        old = self.base_sha if base is None else self.store(base)
        return self.git("diff", *options, old, self.store(new)).decode()

    def task(self, *diffs: str, tests: tuple[str, ...] = ("make test",)) -> Task:
        blocks = "\n".join(f"```diff\n{diff}```\n" for diff in diffs)
        return Task(
            job_id="j",
            title="Mend it",
            body=f"It is broken.\n\n{blocks}",
            base_branch="main",
            base_sha=self.base_sha,
            test_commands=tests,
        )

    async def plan(self, task: Task) -> Plan:
        return await self.agent.plan(task, (), self.workspace, self.session)

    async def plan_error(self, task: Task) -> StepFailedError:
        with pytest.raises(StepFailedError) as caught:
            await self.plan(task)
        return caught.value

    async def code(self, task: Task, plan: Plan, feedback: Feedback | None = None) -> Change:
        return await self.agent.code(task, plan, feedback, self.workspace, self.session)

    async def review(self, task: Task, plan: Plan, evidence: Evidence) -> Review:
        return await self.agent.review(task, plan, evidence, self.session)

    def evidence(self, *, number: int = 1, tests: TestReport | None = None, claim: str = "did it") -> Evidence:
        tree = self.capture(self.workspace.folder)
        patch = self.git("diff", "--binary", "--full-index", "-M", self.base_sha, tree)
        files = tuple(
            FileChange(path=file.path, op=FileOp.MODIFY) for file in parse_patch(patch.decode("utf-8", "replace"))
        )
        return Evidence(
            round=number,
            change=Change(summary=claim),
            change_set=ChangeSet(base_sha=self.base_sha, tree_sha=tree, files=files, patch=patch),
            tests=tests or TestReport(tests=(passed("make test"),)),
            policy=PolicyReport(verdict=PolicyVerdict.ALLOW),
        )


def passed(command: str) -> CommandResult:
    return CommandResult(command=command, exit_code=0, output="ok", duration=0.1)


def failed(command: str, output: str) -> CommandResult:
    return CommandResult(command=command, exit_code=1, output=output, duration=0.1)


def feedback_of(review: Review, number: int, policy: PolicyReport | None = None) -> Feedback:
    return Feedback(
        round=number,
        review=review,
        tests=TestReport(),
        policy=policy or PolicyReport(verdict=PolicyVerdict.ALLOW),
    )


@pytest.fixture
def bench() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="dummy-agent-", dir="/tmp") as folder:
        yield Bench(Path(folder))


def without(*names: str) -> Tree:
    return {name: value for name, value in BASE.items() if name not in names}


CHANGED: Tree = BASE | {"src/x.py": b"one\nTWO\nthree\nfour\nfive\nsix\nseven\n"}


def plain(path: str, hunk: str) -> str:
    return f"--- a/{path}\n+++ b/{path}\n{hunk}"


TWENTY = [f"l{number}" for number in range(1, 21)]


def text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
