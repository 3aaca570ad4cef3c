"""The agent without a model, on real folders with real git."""

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
    PlannedOp,
    PlanStep,
    PolicyFinding,
    PolicyReport,
    PolicyVerdict,
    Review,
    ReviewVerdict,
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


CHANGES: dict[str, tuple[Tree, dict[str, str]]] = {
    "a modified file": (BASE | {"src/x.py": b"one\nTWO\nthree\nfour\nfive\nsix\nseven\n"}, {"src/x.py": "modify"}),
    "a new file in a new folder": (BASE | {"new/deep/y.py": b"y\n"}, {"new/deep/y.py": "create"}),
    "a deleted file": (without("src/x.py", "link"), {"src/x.py": "delete", "link": "delete"}),
    "a renamed file": (
        without("run.sh") | {"bin/start": BASE["run.sh"]},
        {"run.sh": "delete", "bin/start": "create"},
    ),
    "a renamed and edited file": (
        without("src/x.py") | {"src/z.py": b"one\ntwo\nthree\nfour\nfive\nsix\nSEVEN\n"},
        {"src/x.py": "delete", "src/z.py": "create"},
    ),
    "a changed mode": (BASE | {"run.sh": ("100755", b"#!/bin/sh\necho hi\n")}, {"run.sh": "modify"}),
    "a new executable": (BASE | {"tool": ("100755", b"#!/bin/sh\n")}, {"tool": "create"}),
    "no newline at the end": (
        BASE | {"bare.txt": b"changed", "src/x.py": b"one\ntwo\nthree\nfour\nfive\nsix\nseven"},
        {"bare.txt": "modify", "src/x.py": "modify"},
    ),
    "CRLF line ends": (BASE | {"crlf.txt": b"a\r\nB\r\nc\r\nd\n"}, {"crlf.txt": "modify"}),
    "names and content beyond ASCII": (
        BASE | {"caf\u00e9/\u00fc ber.txt": "h\u00e9llo\nw\u00f6rlds \u2028\n".encode(), "\u65e5\u672c": b"x\n"},
        {"caf\u00e9/\u00fc ber.txt": "modify", "\u65e5\u672c": "create"},
    ),
    "awkward names": (
        BASE | {'q"uote\t tab': b"1\n", "new\nline": b"2\n", "trailing ": b"3\n"},
        {'q"uote\t tab': "create", "new\nline": "create", "trailing ": "create"},
    ),
    "empty files": (
        without("empty") | {"void": b"", "src/void": b""},
        {"empty": "delete", "void": "create", "src/void": "create"},
    ),
    "fences in the context": (
        BASE | {"docs/README.md": b"# Title\n\n```\ncodes\n```\n\n   ```sh\nmake all\n   ```\nend\n```diff\n"},
        {"docs/README.md": "modify"},
    ),
    "lines that look like headers": (
        BASE | {"diffs.txt": b"--- a/z\n+++ b/z\n@@ -1 +1 @@\n-a\n+b\n+++ c\n-- \ndiff --git a/y b/y\n"},
        {"diffs.txt": "modify"},
    ),
    "a symlink made and one moved": (
        BASE | {"link": ("120000", b"run.sh"), "docs/up": ("120000", b"../src/x.py")},
        {"link": "modify", "docs/up": "create"},
    ),
    "a symlink that becomes a file": (BASE | {"link": b"a file\n"}, {"link": "modify"}),
    "attributes that would rewrite line ends": (
        BASE
        | {".gitattributes": b"* text eol=crlf ident\n", "src/x.py": b"one\n2 $Id$\nthree\nfour\nfive\nsix\nseven\n"},
        {".gitattributes": "create", "src/x.py": "modify"},
    ),
}


@pytest.mark.parametrize("options", [(), ("-M",), ("--no-prefix",)], ids=["plain", "renames", "no-prefix"])
@pytest.mark.parametrize("name", CHANGES)
async def test_an_issue_with_a_diff_gives_exactly_the_tree_of_the_diff(
    bench: Bench, name: str, options: tuple[str, ...]
) -> None:
    target, ops = CHANGES[name]
    task = bench.task(bench.diff(target, *options))
    plan = await bench.plan(task)
    assert {file.path: file.op for file in plan.steps[0].files} == {path: PlannedOp(op) for path, op in ops.items()}
    await bench.code(task, plan)
    assert held(bench.workspace.folder) == {path: entry(value) for path, value in target.items()}
    review = await bench.review(task, plan, bench.evidence())
    assert (review.verdict, review.findings) == (ReviewVerdict.APPROVE, ())
    assert all(result.met for result in review.criteria)


async def test_the_diff_keeps_its_line_ends_when_the_issue_came_with_crlf(bench: Bench) -> None:
    target = CHANGES["CRLF line ends"][0]
    task = bench.task(bench.diff(target))
    task = task.model_copy(update={"body": task.body.replace("\n", "\r\n")})
    await bench.code(task, await bench.plan(task))
    assert held(bench.workspace.folder)["crlf.txt"] == ("100644", b"a\r\nB\r\nc\r\nd\n")


async def test_a_series_of_diffs_in_one_block_is_one_change(bench: Bench) -> None:
    middle = BASE | {"src/x.py": b"zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\n", "a": b"a\n"}
    end = middle | {"src/x.py": b"zero\none\ntwo\nthree\nfour\nfive\nsix\n7\n8\n", "a": b"b\n"}
    task = bench.task(bench.diff(middle) + bench.diff(end, base=middle))
    plan = await bench.plan(task)
    await bench.code(task, plan)
    assert held(bench.workspace.folder) == {path: entry(value) for path, value in end.items()}
    assert (await bench.review(task, plan, bench.evidence())).verdict is ReviewVerdict.APPROVE


async def test_a_diff_made_some_commits_ago_still_applies_further_down(bench: Bench) -> None:
    diff = bench.diff(BASE | {"src/x.py": b"one\ntwo\nthree\nfour\nfive\nSIX\nseven\n"})
    bench.use(BASE | {"src/x.py": b"-2\n-1\n0\none\ntwo\nthree\nfour\nfive\nsix\nseven\n"})
    task = bench.task(diff)
    plan = await bench.plan(task)
    await bench.code(task, plan)
    assert held(bench.workspace.folder)["src/x.py"][1] == (b"-2\n-1\n0\none\ntwo\nthree\nfour\nfive\nSIX\nseven\n")
    assert (await bench.review(task, plan, bench.evidence())).verdict is ReviewVerdict.APPROVE


async def test_a_repository_above_the_tree_is_never_found(bench: Bench) -> None:
    (bench.root / ".git").mkdir()
    shutil.copytree(bench.root / "measure.git", bench.root / ".git", dirs_exist_ok=True)
    target = CHANGES["a modified file"][0]
    task = bench.task(bench.diff(target))
    await bench.code(task, await bench.plan(task))
    assert held(bench.workspace.folder) == {path: entry(value) for path, value in target.items()}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("It is broken.\n\nIn two ways.", "Mend it\n\nIt is broken."),
        ("Mend it\n\nIt is broken.\n\nIn two ways.", "Mend it\n\nIt is broken."),
        ("\n## Mend it\r\n\r\nIt is\r\nbroken.", "Mend it\n\nIt is broken."),
        ("Mend it\nIt is broken.", "Mend it\n\nIt is broken."),
        ("Mend it", "Mend it"),
    ],
)
async def test_a_title_that_opens_the_issue_is_not_said_twice(bench: Bench, body: str, problem: str) -> None:
    task = bench.task(bench.diff(without("empty")))
    blocks = task.body.partition("\n\n")[2]
    plan = await bench.plan(task.model_copy(update={"body": f"{body}\n\n{blocks}"}))
    assert plan.problem == problem


async def test_a_command_of_many_lines_is_named_in_one(bench: Bench) -> None:
    task = bench.task(bench.diff(without("empty")))
    plan = await bench.plan(task)
    await bench.code(task, plan)
    red = TestReport(tests=(failed("set -e\nmake test\n", "E"),))
    (finding,) = (await bench.review(task, plan, bench.evidence(tests=red))).findings
    assert finding.message == "With diff 1 applied, `set -e make test` ended with: exit code 1.\nE"


async def test_the_plan_says_what_why_and_how_it_is_checked(bench: Bench) -> None:
    task = bench.task(bench.diff(without("empty")), tests=("make lint", "make test"))
    plan = await bench.plan(task)
    assert (plan.base_sha, plan.problem) == (bench.base_sha, "Mend it\n\nIt is broken.")
    assert plan.test_commands == ("make lint", "make test")
    assert [(c.id, c.verify) for c in plan.acceptance_criteria] == [
        ("patch-applied", "Compare the measured change with the diff, line by line."),
        ("tests-pass", "make lint && make test"),
    ]
    assert (plan.risk.level, plan.risk.reasons) == ("medium", ("Files deleted or moved away: 1.",))
    assert (plan.estimate.steps, plan.estimate.usd, plan.assumptions) == (1, 0, ())
    assert bench.session.said == ["Trying diff 1 of the issue on the base commit"]


async def test_a_plan_without_test_commands_says_so(bench: Bench) -> None:
    plan = await bench.plan(bench.task(bench.diff(BASE | {"n": b"n\n"}), tests=()))
    said = "No test command is declared, so nothing but the diff itself can be checked."
    assert plan.assumptions == (said,)
    assert plan.acceptance_criteria[1].verify == said


async def test_an_issue_without_a_diff_is_told_what_to_hold(bench: Bench) -> None:
    error = await bench.plan_error(bench.task())
    assert error.code == "no_usable_diff"
    assert "```diff" in error.message


def plain(path: str, hunk: str) -> str:
    return f"--- a/{path}\n+++ b/{path}\n{hunk}"


NEW = "--- /dev/null\n+++ b/{}\n@@ -0,0 +1 @@\n+x\n"
REFUSED: dict[str, tuple[str, str, str]] = {
    "another line": (
        plain("src/x.py", "@@ -1,2 +1,2 @@\n-one\n+1\n two\n@@ -5,3 +5,3 @@\n five\n-SIX\n+6\n seven\n"),
        "patch_does_not_apply",
        "hunk 2 of 'src/x.py' does not match: at line 6 the diff expects 'SIX', but the file holds 'six'",
    ),
    "a line far from where it is said to be": (
        plain("src/x.py", "@@ -2,3 +2,3 @@\n five\n-SIX\n+6\n seven\n"),
        "patch_does_not_apply",
        "hunk 1 of 'src/x.py' does not match: at line 6 the diff expects 'SIX', but the file holds 'six'",
    ),
    "a file that is too short": (
        plain("src/x.py", "@@ -6,3 +6,3 @@\n six\n seven\n-eight\n+8\n"),
        "patch_does_not_apply",
        "hunk 1 of 'src/x.py' does not match: at line 8 the diff expects 'eight', but the file has only 7 lines",
    ),
    "LF for CRLF": (
        plain("crlf.txt", "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"),
        "patch_does_not_apply",
        (
            "hunk 1 of 'crlf.txt' does not match: at line 1 the diff expects 'a', but the file holds 'a\\r' "
            "(they differ in the line end: one is CRLF)"
        ),
    ),
    "white space": (
        plain("docs/README.md", "@@ -6,3 +6,3 @@\n \n ```sh\n-make\n+made\n"),
        "patch_does_not_apply",
        (
            "hunk 1 of 'docs/README.md' does not match: at line 7 the diff expects '```sh', but the file holds "
            "'   ```sh' (they differ in white space)"
        ),
    ),
    "the last newline": (
        plain("bare.txt", "@@ -1 +1 @@\n-no newline\n+x\n"),
        "patch_does_not_apply",
        (
            "hunk 1 of 'bare.txt' does not match: at line 1 the diff expects 'no newline', but the file holds "
            "'no newline' (they differ in the newline at the end of the file)"
        ),
    ),
    "a missing file": (
        plain("src/gone.py", "@@ -1 +1 @@\n-a\n+b\n"),
        "patch_does_not_apply",
        "it changes 'src/gone.py', but that file does not exist at the base commit",
    ),
    "an existing file": (
        NEW.format("src/x.py"),
        "patch_does_not_apply",
        "it creates 'src/x.py', but that exists already at the base commit",
    ),
    "a rename onto an existing file": (
        "diff --git a/run.sh b/empty\nsimilarity index 100%\nrename from run.sh\nrename to empty\n",
        "patch_does_not_apply",
        "it creates 'empty', but that exists already at the base commit",
    ),
    "another type of file": (
        "diff --git a/run.sh b/run.sh\nold mode 120000\nnew mode 100644\n",
        "patch_does_not_apply",
        "it changes 'run.sh' as a file of mode 120000, but that is of another type",
    ),
    "lines that no longer begin the file": (
        plain("src/x.py", "@@ -1,3 +1,3 @@\n two\n-three\n+3\n four\n"),
        "patch_does_not_apply",
        (
            "hunk 1 of 'src/x.py' does not match: the diff says that the file begins with these lines, but they "
            "begin at line 2"
        ),
    ),
    "lines that no longer end the file": (
        plain("src/x.py", "@@ -5,2 +5,3 @@\n five\n six\n+end\n"),
        "patch_does_not_apply",
        (
            "hunk 1 of 'src/x.py' does not match: the diff says that the file ends after line 6, but it goes on "
            "to line 7"
        ),
    ),
    "a new file that git is not told of": (
        "diff --git a/x b/x\nindex 1234567..1234568 100644\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+x\n",
        "patch_does_not_apply",
        "git says: ",
    ),
    "a parent folder": (NEW.format("../x"), "path_escapes", "it names '../x', which is outside"),
    "a hidden parent folder": (NEW.format("src/../../x"), "path_escapes", "it names 'src/../../x'"),
    "an absolute path": (NEW.format("/etc/x"), "path_escapes", "it names '/etc/x'"),
    "the git folder": (NEW.format(".git/hooks/x"), "path_escapes", "it names '.git/hooks/x'"),
    "the git folder in disguise": (NEW.format("src/.GIT/config"), "path_escapes", "it names 'src/.GIT/config'"),
    "a source outside": (
        "diff --git a/x b/y\nsimilarity index 100%\nrename from ../x\nrename to y\n",
        "path_escapes",
        "it names '../x'",
    ),
    "through a symlink": (NEW.format("out/x"), "path_escapes", "affected file 'out/x' is beyond a symbolic link"),
    "a symlink outwards": (
        (
            "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+../../etc\n"
            "\\ No newline at end of file\n"
        ),
        "path_escapes",
        "it lays the symbolic link 'l' to '../../etc'",
    ),
    "a binary file": (
        (
            "diff --git a/image.bin b/image.bin\nindex 1234567..1234568 100644\n"
            "Binary files a/image.bin and b/image.bin differ\n"
        ),
        "binary_patch",
        "it changes the binary file 'image.bin', and only changes of text are carried out",
    ),
    "a submodule": (
        (
            "diff --git a/sub b/sub\nnew file mode 160000\n--- /dev/null\n+++ b/sub\n@@ -0,0 +1 @@\n"
            "+Subproject commit 0123456789012345678901234567890123456789\n"
        ),
        "submodule_change",
        "it changes the submodule 'sub'",
    ),
    "a cut hunk": (
        plain("src/x.py", "@@ -1,2 +1,2 @@\n-one\n"),
        "malformed_patch",
        "its line 5 cannot be read: the text ends inside the hunk of line 3",
    ),
    "no change at all": ("nothing here\n", "no_usable_diff", "it holds no change of any file"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_diff_that_is_of_no_use_is_refused_with_the_reason(bench: Bench, name: str) -> None:
    diff, code, reason = REFUSED[name]
    bench.use(BASE | {"out": ("120000", b"/etc")})
    error = await bench.plan_error(bench.task(diff))
    assert error.message.startswith("Diff 1 of the issue cannot be used: ")
    assert reason in error.message
    assert error.code == code
    assert held(bench.workspace.folder) == {path: entry(value) for path, value in bench.workspace.base.items()}


async def test_when_no_diff_is_of_use_the_first_one_s_reason_leads_and_the_others_follow(bench: Bench) -> None:
    error = await bench.plan_error(bench.task(REFUSED["a binary file"][0], REFUSED["a missing file"][0]))
    assert error.code == "binary_patch"
    assert error.message.index("Diff 1 of the issue") < error.message.index("Diff 2 of the issue")


async def test_diffs_of_no_use_are_skipped_and_named(bench: Bench) -> None:
    good = bench.diff(CHANGES["a modified file"][0])
    task = bench.task(REFUSED["a missing file"][0], good)
    plan = await bench.plan(task)
    assert plan.assumptions == (
        (
            "Skipped: Diff 1 of the issue cannot be used: it changes 'src/gone.py', but that file does not exist at "
            "the base commit."
        ),
    )
    change = await bench.code(task, plan)
    assert change.summary == "Applied diff 2 of the issue (1 file)."
    review = await bench.review(task, plan, bench.evidence())
    assert review.verdict is ReviewVerdict.APPROVE


async def test_more_diffs_than_could_ever_be_tried_are_named_once(bench: Bench) -> None:
    good = bench.diff(CHANGES["a modified file"][0])
    plan = await bench.plan(bench.task(good, *[REFUSED["no change at all"][0]] * 30))
    assert len(plan.assumptions) == 20
    assert "only the first 20 diffs" in plan.assumptions[-1]


async def test_rounds_try_the_diffs_in_order_each_on_the_untouched_base(bench: Bench) -> None:
    wrong, right = BASE | {"wrong": b"w\n"}, BASE | {"src/x.py": b"1\n"}
    task = bench.task(bench.diff(wrong), bench.diff(right))
    plan = await bench.plan(task)
    assert plan.paths() == {"wrong", "src/x.py"}

    await bench.code(task, plan)
    red = TestReport(tests=(passed("make lint"), failed("make test", "x" * 9_000 + "\nE assert 1 == 2\n")))
    first = await bench.review(task, plan, bench.evidence(tests=red))
    (finding,) = first.findings
    assert (first.verdict, finding.id, finding.must_fix) == (ReviewVerdict.REJECT, "diff-1:command-failed", True)
    assert finding.message.startswith("With diff 1 applied, `make test` ended with: exit code 1.\n…xxx")
    assert finding.message.endswith("E assert 1 == 2")
    assert len(finding.message) < 2_200
    assert [(result.id, result.met) for result in first.criteria] == [("patch-applied", True), ("tests-pass", False)]

    await bench.code(task, plan, feedback_of(first, 1))
    assert held(bench.workspace.folder) == {path: entry(value) for path, value in right.items()}
    second = await bench.review(task, plan, bench.evidence(number=2))
    assert second.verdict is ReviewVerdict.APPROVE

    with pytest.raises(StepFailedError) as caught:
        await bench.code(task, plan, feedback_of(first, 2))
    assert caught.value.code == "candidates_exhausted"
    assert "were tried (2)" in caught.value.message
    assert "`make test` ended with: exit code 1" in caught.value.message


async def test_a_policy_that_denies_the_last_diff_is_quoted(bench: Bench) -> None:
    task = bench.task(bench.diff(CHANGES["a modified file"][0]))
    plan = await bench.plan(task)
    denied = PolicyReport(
        verdict=PolicyVerdict.DENY,
        findings=(
            PolicyFinding(
                rule="protected_paths",
                verdict=PolicyVerdict.DENY,
                message="'src/x.py' is protected.",
                remedy="Ask its owners.",
            ),
        ),
    )
    with pytest.raises(StepFailedError, match=r"'src/x\.py' is protected\. Ask its owners\.") as caught:
        await bench.code(task, plan, feedback_of(Review(verdict=ReviewVerdict.REJECT), 1, denied))
    assert caught.value.code == "policy_denied"


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [
        ({"src/x.py": b"one\nTWO\nthree\nfour\nfive\nsix\nseven\n"}, "diff-1:content:src/x.py"),
        ({"src/x.py": BASE["src/x.py"]}, "diff-1:missing:src/x.py"),
        ({"bare.txt": b"touched"}, "diff-1:extra:bare.txt"),
        ({"surplus": b""}, "diff-1:extra:surplus"),
        ({"run.sh": ("100644", b"#!/bin/sh\necho hi\n")}, "diff-1:mode:run.sh"),
        ({"new": ("100755", b"n\n")}, "diff-1:mode:new"),
        ({"new": None}, "diff-1:missing:new"),
        ({"empty": b""}, "diff-1:missing:empty"),
        ({"crlf.txt": None}, "diff-1:extra:crlf.txt"),
        ({"src/x.py": None}, "diff-1:deleted:src/x.py"),
        ({"image.bin": b"\0"}, "diff-1:extra:image.bin"),
    ],
)
async def test_a_change_that_is_not_exactly_the_diff_is_rejected_whatever_the_coder_claims(
    bench: Bench, spoil: dict[str, bytes | tuple[str, bytes] | None], finding: str
) -> None:
    target = without("empty") | {
        "src/x.py": b"one\nTWO\nthree\nfour\nfive\nsix\nSEVEN\n",
        "run.sh": ("100755", b"#!/bin/sh\necho hi\n"),
        "new": b"n\n",
    }
    task = bench.task(bench.diff(target))
    plan = await bench.plan(task)
    spoilt: Tree = {path: value for path, value in (target | spoil).items() if value is not None}
    lay(bench.workspace.folder, spoilt)
    review = await bench.review(task, plan, bench.evidence(claim="Applied diff 1 of the issue in full."))
    assert review.verdict is ReviewVerdict.REJECT
    assert [item.id for item in review.findings] == [finding]
    assert review.criteria[0].met is False


async def test_a_set_up_that_fails_is_a_reason_to_reject(bench: Bench) -> None:
    task = bench.task(bench.diff(CHANGES["a modified file"][0]))
    plan = await bench.plan(task)
    await bench.code(task, plan)
    report = TestReport(setup=(failed("pip install x", "no network"),), tests=(failed("make test", "E"),))
    review = await bench.review(task, plan, bench.evidence(tests=report))
    assert "`pip install x` ended with: exit code 1" in review.findings[0].message
    assert "Also failed: `make test` ended with: exit code 1." in review.findings[0].message


async def test_faults_of_its_plan_cannot_be_answered_without_a_model(bench: Bench) -> None:
    task = bench.task(bench.diff(CHANGES["a modified file"][0]))
    with pytest.raises(StepFailedError, match=r"1\. src/x\.py is protected\.") as caught:
        await bench.agent.plan(task, ("1. src/x.py is protected.",), bench.workspace, bench.session)
    assert caught.value.code == "plan_refused"


async def test_a_plan_of_another_agent_is_not_carried_out(bench: Bench) -> None:
    task = bench.task(bench.diff(CHANGES["a modified file"][0]))
    plan = await bench.plan(task)
    foreign = plan.model_copy(update={"steps": (PlanStep(id="s1", goal="think"),)})
    with pytest.raises(StepFailedError, match="not made by this agent") as caught:
        await bench.code(task, foreign)
    assert caught.value.code == "foreign_plan"


async def test_a_cancelled_job_stops_before_the_next_action(bench: Bench) -> None:
    task = bench.task(bench.diff(CHANGES["a modified file"][0]))
    plan = await bench.plan(task)
    bench.session.cancelled = True
    bench.workspace.commands.clear()
    with pytest.raises(StepFailedError) as caught:
        await bench.code(task, plan)
    assert caught.value.code == "cancelled"
    assert bench.workspace.commands == []


async def test_a_sandbox_without_git_is_told_apart_from_a_bad_diff(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = bench.task(bench.diff(CHANGES["a modified file"][0]))
    monkeypatch.setenv("PATH", "/nonexistent")
    error = await bench.plan_error(task)
    assert error.code == "git_apply_unavailable"
    assert "exit code 127" in error.message


TWENTY = [f"l{number}" for number in range(1, 21)]


def text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


async def outcome(bench: Bench, diff: str) -> tuple[Task, Plan, bytes]:
    task = bench.task(diff)
    plan = await bench.plan(task)
    await bench.code(task, plan)
    return task, plan, held(bench.workspace.folder)["f"][1]


EDITS: dict[str, list[str]] = {
    "added": [*TWENTY[:5], "NEW", *TWENTY[5:]],
    "added first": ["NEW", *TWENTY],
    "added last": [*TWENTY, "NEW"],
    "removed": [*TWENTY[:4], *TWENTY[5:]],
    "replaced": [*TWENTY[:4], "NEW", *TWENTY[5:]],
    "several": ["0", *TWENTY[:4], "NEW", "NEW", *TWENTY[6:12], *TWENTY[14:], "end"],
    "emptied": [],
}


@pytest.mark.parametrize("prefix", ["", "--no-prefix"])
@pytest.mark.parametrize("name", EDITS)
async def test_a_diff_without_context_is_laid_exactly_where_its_header_says(
    bench: Bench, name: str, prefix: str
) -> None:
    bench.use(BASE | {"f": text(*TWENTY)})
    diff = bench.diff(BASE | {"f": text(*EDITS[name])}, "-U0", *filter(None, [prefix]))
    task, plan, content = await outcome(bench, diff)
    assert content == text(*EDITS[name])
    assert plan.assumptions == ()
    assert (await bench.review(task, plan, bench.evidence())).verdict is ReviewVerdict.APPROVE


async def test_a_last_line_without_a_newline_is_not_taken_for_the_one_before(bench: Bench) -> None:
    bench.use({"f": b"x\na\na"})
    task, plan, content = await outcome(bench, bench.diff({"f": b"x\na\n"}, "-U0"))
    assert content == b"x\na\n"
    assert (await bench.review(task, plan, bench.evidence())).verdict is ReviewVerdict.APPROVE


async def test_git_hears_of_missing_context_only_where_a_hunk_needs_it(bench: Bench) -> None:
    bench.use({"f": text(*TWENTY), "one": b"1\n"})
    await outcome(bench, bench.diff({"f": text(*EDITS["added"]), "one": b"2\n", "new": b"n\n"}))
    assert not any("--unidiff-zero" in command for command in bench.workspace.commands)
    await outcome(bench, bench.diff({"f": text(*EDITS["added"]), "one": b"1\n"}, "-U0"))
    assert all("--unidiff-zero" in command for command in bench.workspace.commands[-2:])


async def test_a_series_of_diffs_without_context_counts_lines_as_the_earlier_ones_leave_them(bench: Bench) -> None:
    bench.use({"f": text(*TWENTY)})
    middle, end = text("0", *TWENTY), text("0", *TWENTY[:9], "NEW", *TWENTY[9:])
    diff = bench.diff({"f": middle}, "-U0") + bench.diff({"f": end}, "-U0", base={"f": middle})
    task, plan, content = await outcome(bench, diff)
    assert content == end
    assert (await bench.review(task, plan, bench.evidence())).verdict is ReviewVerdict.APPROVE


@pytest.mark.parametrize(
    "wrong", [[*TWENTY, "NEW"], [*TWENTY[:6], "NEW", *TWENTY[6:]], [*TWENTY[:4], "NEW", *TWENTY[4:]]]
)
@pytest.mark.parametrize("options", [("-U0",), ()])
async def test_the_right_lines_at_a_wrong_place_are_rejected(
    bench: Bench, wrong: list[str], options: tuple[str, ...]
) -> None:
    bench.use({"f": text(*TWENTY)})
    task = bench.task(bench.diff({"f": text(*EDITS["added"])}, *options))
    plan = await bench.plan(task)
    lay(bench.workspace.folder, {"f": text(*wrong)})
    review = await bench.review(task, plan, bench.evidence())
    assert [finding.id for finding in review.findings] == ["diff-1:content:f"]
    assert "the diff says '+NEW\\n' at line 6 where the tree has '+NEW\\n' at line" in review.findings[0].message


BLOCK = ["{", "  a", "  b", "}"]
REPEATED = [*TWENTY[:3], *BLOCK, *TWENTY[3:6], *BLOCK, *TWENTY[6:]]
INTO_BLOCK = "@@ -{0},4 +{0},5 @@\n {{\n   a\n+  NEW\n   b\n }}\n"


@pytest.mark.parametrize(
    ("hunks", "reason"),
    [
        (
            INTO_BLOCK.format(6),
            (
                "hunk 1 of 'f' could go to several places: its header says line 6, where its lines are not, and its "
                "lines are found at the lines 4, 11"
            ),
        ),
        (
            "@@ -2,2 +2,3 @@\n l2\n+NEW\n l3\n" + INTO_BLOCK.format(10),
            (
                "hunk 2 of 'f' could go to several places: its header says line 10, where its lines are not, and its "
                "lines are found at the lines 4, 11"
            ),
        ),
        (
            "@@ -3,2 +3,3 @@\n l1\n+NEW\n l2\n" + INTO_BLOCK.format(11),
            (
                "hunk 2 of 'f' could go to several places: its header says line 11, but a hunk before it had to be "
                "moved, and its lines are found at the lines 4, 11"
            ),
        ),
        (
            "@@ -16,2 +16,3 @@\n l8\n+NEW\n l9\n@@ -18,2 +19,3 @@\n l1\n+NEW\n l2\n",
            "hunk 2 of 'f' belongs at line 1, which is above the hunk before it",
        ),
        ("@@ -5 +5 @@\n-l5\n+NEW\n", "hunk 1 of 'f' does not match: at line 5 the diff expects 'l5', but the file"),
        ("@@ -90,0 +91 @@\n+NEW\n", "hunk 1 of 'f' does not match: the diff adds lines after line 90, where"),
        (
            "@@ -5,0 +6 @@\n+NEW\n\\ No newline at end of file\n",
            "hunk 1 of 'f' does not match: the diff adds lines after line 5, where",
        ),
    ],
)
async def test_a_hunk_without_one_certain_place_is_refused_with_its_line_and_the_candidates(
    bench: Bench, hunks: str, reason: str
) -> None:
    bench.use({"f": text(*REPEATED)})
    error = await bench.plan_error(bench.task(plain("f", hunks)))
    assert error.code == "patch_does_not_apply"
    assert reason in error.message


async def test_lines_that_are_repeated_go_to_the_line_that_the_header_names(bench: Bench) -> None:
    bench.use({"f": text(*REPEATED)})
    task, plan, content = await outcome(bench, plain("f", INTO_BLOCK.format(11)))
    assert content == text(*REPEATED[:12], "  NEW", *REPEATED[12:])
    assert (await bench.review(task, plan, bench.evidence())).verdict is ReviewVerdict.APPROVE


async def test_a_header_whose_two_sides_disagree_is_laid_by_its_old_side(bench: Bench) -> None:
    bench.use({"f": text(*REPEATED)})
    hunk = INTO_BLOCK.format(11).replace("+11,5", "+4,5")
    _, _, content = await outcome(bench, plain("f", hunk))
    assert content == text(*REPEATED[:12], "  NEW", *REPEATED[12:])


async def test_a_hunk_that_is_moved_to_its_only_place_is_named_in_the_plan_and_nowhere_else_approved(
    bench: Bench,
) -> None:
    bench.use({"f": text("-1", "0", *TWENTY)})
    diff = plain("f", "@@ -5,4 +5,5 @@\n l5\n l6\n+NEW\n l7\n l8\n@@ -18,3 +19,2 @@\n l18\n-l19\n l20\n")
    task, plan, content = await outcome(bench, diff)
    assert content == text("-1", "0", *TWENTY[:6], "NEW", *TWENTY[6:18], "l20")
    assert plan.assumptions == (
        "Hunk 1 of diff 1 is laid at line 7, not at line 5: its lines are nowhere else in 'f'.",
        "Hunk 2 of diff 1 is laid at line 20, not at line 18: its lines are nowhere else in 'f'.",
    )
    assert (await bench.review(task, plan, bench.evidence())).verdict is ReviewVerdict.APPROVE
    lay(bench.workspace.folder, {"f": text("-1", "0", *TWENTY[:5], "NEW", *TWENTY[5:18], "l20")})
    assert (await bench.review(task, plan, bench.evidence())).verdict is ReviewVerdict.REJECT


NUMBERS = [f"the number {number}" if number % 5 else "" for number in range(1, 60)]
NAMES = [f"some other name, {number} of many" if number % 7 else "" for number in range(1, 50)]
SWAPPED: dict[str, Tree] = {
    "whole": {"a": text(*NUMBERS), "b": text(*NAMES)},
    "without a last newline": {"a": text(*NUMBERS)[:-1], "b": text(*NAMES)},
    "of other modes": {"a": ("100755", text(*NUMBERS)), "b": text(*NAMES)},
}


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("name", SWAPPED)
async def test_two_files_that_change_places_are_approved(bench: Bench, name: str, edited: bool) -> None:
    base = SWAPPED[name]
    bench.use(base)
    target: Tree = {"a": text(*NAMES[:9], "NEW", *NAMES[9:]) if edited else base["b"], "b": base["a"]}
    diff = bench.diff(target, "-B", "-M")
    assert diff.count("rename from ") == 2
    task = bench.task(diff)
    plan = await bench.plan(task)
    await bench.code(task, plan)
    assert held(bench.workspace.folder)["a"][1] == (target["a"] if isinstance(target["a"], bytes) else target["a"][1])
    review = await bench.review(task, plan, bench.evidence())
    assert (review.verdict, review.findings) == (ReviewVerdict.APPROVE, ())
    lay(bench.workspace.folder, target | {"a": text(*NAMES[:18], "not so", *NAMES[19:])})
    review = await bench.review(task, plan, bench.evidence())
    assert [finding.id for finding in review.findings][:1] == ["diff-1:content:a"]
