"""What an agent may do with a work tree; everything else it cannot even name."""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aicd_core
import aicd_github
from aicd_core.contracts.change import ChangeSet
from aicd_core.contracts.evidence import CommandResult
from aicd_core.contracts.workspace import Match
from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_github.commands import StepSandbox
from aicd_github.threads import in_thread
from aicd_github.tree.files import TreeFiles
from aicd_github.tree.listing import list_files

_SEARCH_DEADLINE = 30.0
_LAST_DEADLINE = 35
"""Seconds after which a search ends by itself, for the case that nobody is left to end it."""
_SEARCH_PROGRAM = "import sys; sys.path += sys.argv[1:]; from aicd_github.tree.searcher import main; main()"


def _ignore(_: str) -> None:
    """The observer of those who do not want to watch."""


@dataclass(frozen=True)
class CommandObserver:
    """Watches commands as they run: the command line before it starts, then its output piece by piece."""

    on_command: Callable[[str], None] = _ignore
    on_output: Callable[[str], None] = _ignore


class Tree(Protocol):
    """What the workspace needs of the checkout that it belongs to."""

    def before_write(self, path: str) -> None: ...

    def touched(self) -> None: ...

    async def diff(self) -> bytes: ...

    async def restore(self, change_set: ChangeSet | None) -> None: ...


class TreeWorkspace:
    """`Workspace` on a work tree on this machine.

    Args:
        command_timeout: seconds; the default and the most that `run` gives a command.
    """

    def __init__(
        self,
        tree: Tree,
        files: TreeFiles,
        sandbox: StepSandbox,
        command_timeout: float,
        observer: CommandObserver,
    ) -> None:
        self._tree = tree
        self._files = files
        self._sandbox = sandbox
        self._command_timeout = command_timeout
        self._observer = observer

    async def read(self, path: str) -> bytes:
        """The whole content of a regular file of at most 16 MiB.

        Raises:
            NotFoundError: there is no such file.
            InvalidInputError: `path_escapes`, `not_a_file`, `file_too_large`, `unreadable`.
        """
        return await in_thread(self._files.read, path)

    async def write(self, path: str, content: bytes, *, executable: bool | None = None) -> None:
        """Creates or overwrites a file and its parent folders; `executable=None` keeps the mode.

        Raises:
            InvalidInputError: `path_escapes`, `not_a_file`, `unreadable`, `outside_checkout`.
            UnavailableError: the disk refused.
        """
        self._tree.before_write(path)
        self._tree.touched()
        await in_thread(self._files.write, path, content, executable=executable)

    async def replace(self, path: str, old: str, new: str) -> None:
        """Replaces the one exact occurrence of `old`, byte for byte in UTF-8.

        Raises:
            InvalidInputError: `no_match`, `several_matches`, or as `read` and `write`.
        """
        content = await self.read(path)
        wanted = old.encode("utf-8", "surrogatepass")
        first = content.find(wanted) if wanted else -1
        if first < 0:
            raise InvalidInputError(
                f"The text to replace does not occur in {path!r}. Read the file and copy it exactly, "
                "with its white space and line ends.",
                code="no_match",
            )
        if content.find(wanted, first + 1) >= 0:
            raise InvalidInputError(
                f"The text to replace occurs more than once in {path!r}. Take in lines around it.",
                code="several_matches",
            )
        changed = content[:first] + new.encode("utf-8", "surrogatepass") + content[first + len(wanted) :]
        await self.write(path, changed)

    async def search(self, pattern: str, *, glob: str | None = None, limit: int = 200) -> Sequence[Match]:
        """Lines matching a Python regular expression in text files, in path order.

        Files over 4 MiB are passed over and lines are cut at 1,000 characters. A glob without a slash is
        matched against file names, any other against whole paths; `**` crosses folders.

        Raises:
            InvalidInputError: `bad_pattern`, or `search_timeout` after 30 s.
        """
        question = {
            "root": str(self._files.root),
            "pattern": pattern,
            "glob": glob,
            "limit": limit,
            "deadline": _LAST_DEADLINE,
        }
        answer = json.loads(await _ask_searcher(json.dumps(question).encode()))
        if "error" in answer:
            raise InvalidInputError(f"{pattern!r} is not a regular expression: {answer['error']}.", code="bad_pattern")
        return [Match(path=path, line=line, text=text) for path, line, text in answer["matches"]]

    async def list(self, prefix: str = "") -> Sequence[str]:
        """All file paths (no folders) at or below `prefix`, sorted; `.git` folders are passed over.

        Raises:
            InvalidInputError: code `path_escapes`.
        """
        return await in_thread(list_files, self._files.root, prefix)

    async def run(
        self, command: str, *, timeout: float | None = None, network: bool = False, stdin: bytes = b""
    ) -> CommandResult:
        """Runs `command` with `/bin/sh -c` in the sandbox, in the tree's root.

        Raises:
            InvalidInputError: code `network_refused`, or a time-out that is no time.
        """
        if timeout is not None and not timeout > 0:
            raise InvalidInputError(f"A time-out of {timeout} s is no time; give more than 0.")
        self._observer.on_command(command)
        self._tree.touched()
        return await self._sandbox.run(
            command,
            timeout=min(timeout or self._command_timeout, self._command_timeout),
            stdin=stdin,
            on_output=self._observer.on_output,
            network=network,
        )

    async def diff(self) -> bytes:
        """`git diff --binary` from the base commit to the tree as it is now."""
        return await self._tree.diff()

    async def reset(self) -> None:
        """Lays the tree as it is at the base commit; everything else in it is gone."""
        await self._tree.restore(None)


async def _ask_searcher(question: bytes) -> bytes:
    packages = [str(Path(module.__file__ or "").parents[1]) for module in (aicd_core, aicd_github)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", "-S", "-X", "utf8", "-c", _SEARCH_PROGRAM, *packages),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={},
        cwd="/",
    )
    try:
        async with asyncio.timeout(_SEARCH_DEADLINE):
            answer, complaint = await process.communicate(question)
    except TimeoutError as error:
        raise InvalidInputError(
            f"The search took longer than {_SEARCH_DEADLINE:.0f} s. Use a simpler pattern or a glob.",
            code="search_timeout",
        ) from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        last = complaint.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise UnavailableError(f"The search failed: {' '.join(last)}", code="search_failed")
    return answer
