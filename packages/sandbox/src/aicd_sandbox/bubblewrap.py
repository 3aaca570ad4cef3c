"""The sandbox made with bubblewrap: one per command."""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from aicd_core.contracts import CommandResult, SandboxLimits
from aicd_core.errors import InvalidInputError
from aicd_sandbox.arguments import command_bytes, environment
from aicd_sandbox.diagnosis import explain, read_restrictions
from aicd_sandbox.host import SANDBOX_GID, SANDBOX_UID, read_host
from aicd_sandbox.launch import launch
from aicd_sandbox.output import HeadAndTail, TextStream
from aicd_sandbox.process import SandboxProcess, StartError, to_the_end
from aicd_sandbox.programs import Programs, find_programs, unavailable

MOST_OUTPUT = 1024**3
"""Bytes that a command may print before it is ended: far beyond any test run, and before an endless loop
has kept the worker busy for the whole of its time."""

CHECK_SECONDS = 30.0


class OutputLimitError(Exception):
    """The command printed more than `MOST_OUTPUT`."""


class BubblewrapSandbox:
    """Runs each command in a bubblewrap of its own (see `aicd_core.contracts.Sandbox`).

    Args:
        limits: what a command may use; see there for the units.
        path: where bwrap, setpriv and prlimit are looked up, `:`-separated; None takes the process's PATH.
    """

    def __init__(self, limits: SandboxLimits, *, path: str | None = None) -> None:
        self._limits = limits
        self._path = path
        self._programs: Programs | None = None

    @property
    def owner(self) -> tuple[int, int] | None:
        """Root's commands run as another user, who must own the tree; everybody else's run as they are."""
        return (SANDBOX_UID, SANDBOX_GID) if os.geteuid() == 0 else None

    async def check(self) -> str:
        """Looks the programs up anew and starts a sandbox that does nothing.

        Raises:
            UnavailableError: `sandbox_unavailable`, saying what to type.
        """
        self._programs = await asyncio.to_thread(find_programs, self._path)
        with tempfile.TemporaryDirectory(prefix="aicd-check-") as tree:
            result = await self.run("true", tree=Path(tree), timeout=CHECK_SECONDS)
        if not result.ok:
            raise unavailable(
                f"A sandbox starts, but `true` in it ended with: {result.outcome()} "
                f"({result.output.strip()[:500]}). Check that /bin/sh and the folders "
                "under /usr are readable for everybody."
            )
        uid, _ = read_host().sandbox_ids
        mode = "" if os.geteuid() == 0 else " in a user namespace"
        return f"bubblewrap {self._programs.version_text}, as uid {uid}{mode}"

    async def run(
        self,
        command: str,
        *,
        tree: Path,
        timeout: float,
        stdin: bytes = b"",
        env: dict[str, str] | None = None,
        on_output: Callable[[str], None] | None = None,
    ) -> CommandResult:
        """Runs `/bin/sh -c command` in `tree`; see `aicd_core.contracts.Sandbox.run`.

        A command that prints more than a gigabyte is ended, `killed` by the `output limit`. NUL characters
        in what it prints are replaced.

        Raises:
            InvalidInputError: a command or an environment that no process can be given, or no such tree.
            UnavailableError: `sandbox_unavailable`, the sandbox could not be started; `sandbox_stuck`, the
                kernel could not end it.
        """
        script, variables = command_bytes(command), environment(env or {})
        tree, is_folder = await asyncio.to_thread(lambda: (tree.absolute(), tree.is_dir()))
        if not is_folder:
            raise InvalidInputError(f"The work tree {tree} is not a folder: create it before a command runs.")
        output = _Output(self._limits.output, on_output)
        process = await self._start(script, tree, variables)
        timed_out, killed, began = False, None, time.monotonic()
        try:
            await process.ready()
            began = time.monotonic()
            timed_out = await process.communicate(stdin, output.feed, timeout)
        except StartError as error:
            message = explain(str(error), read_restrictions(), is_root=os.geteuid() == 0)
            raise unavailable(message) from error
        except OutputLimitError:
            killed = "output limit"
        finally:
            returned = await to_the_end(process.close())
        duration = time.monotonic() - began
        text, missing = output.result()
        return CommandResult(
            command=command,
            exit_code=None if timed_out or killed else returned,
            output=text,
            duration=duration,
            timed_out=timed_out,
            killed=killed,
            truncated_bytes=missing,
        )

    async def _start(self, script: bytes, tree: Path, variables: dict[str, str]) -> SandboxProcess:
        if self._programs is None:
            self._programs = await asyncio.to_thread(find_programs, self._path)
        try:
            return launch(read_host(), self._programs, self._limits, command=script, tree=tree, env=variables)
        except OSError as error:
            raise unavailable(
                f"The sandbox could not be started ({error}): this user is out of processes, memory or open "
                "files, or Linux is older than 5.3. Put that right, then type `aicd doctor`."
            ) from error


class _Output:
    """What a command prints, kept within its limit and handed on as it comes."""

    def __init__(self, limit: int, on_output: Callable[[str], None] | None) -> None:
        self._kept = HeadAndTail(limit)
        self._stream = TextStream(on_output) if on_output else None

    def feed(self, data: bytes) -> None:
        self._kept.feed(data)
        if self._stream:
            self._stream.feed(data)
        if self._kept.total > MOST_OUTPUT:
            raise OutputLimitError

    def result(self) -> tuple[str, int]:
        if self._stream:
            self._stream.feed(b"", final=True)
        return self._kept.result()
