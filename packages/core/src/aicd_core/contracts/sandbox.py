"""Running commands that nobody trusts."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from aicd_core.contracts.evidence import CommandResult
from aicd_core.contracts.values import Value


class SandboxLimits(Value):
    """Sizes in bytes. `memory` and `file_size` are per process and per file, `output` is what is kept."""

    memory: int
    processes: int
    file_size: int
    output: int


class Sandbox(Protocol):
    """Runs commands in a work tree that is all they can write to."""

    @property
    def owner(self) -> tuple[int, int] | None:
        """(uid, gid) that must own the work tree's files, or None when the caller's own user does."""
        ...

    async def check(self) -> str:
        """Proves that a sandbox can be started; returns a line that describes it.

        Raises:
            UnavailableError: code `sandbox_unavailable`, saying how to install one.
        """
        ...

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
        """Runs `/bin/sh -c command` with `tree` as its work folder and no network.

        Never raises for what the command does. Cancelling the call ends every process of the command
        before it returns.
        """
        ...
