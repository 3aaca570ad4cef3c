"""Running commands that nobody trusts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from aicd_core.contracts.evidence import CommandResult
from aicd_core.contracts.values import Value


class SandboxLimits(Value):
    """What the commands of one sandbox may use. Sizes in bytes.

    `memory` and `processes` hold for all of a sandbox where the kernel lets us count (cgroups), else for each process
    and for the sandbox's user. `file_size` is per file. `output` is what is kept of a command's output, head and tail;
    `log` is how much of a longer one is written to a file. `tree_size` and `tree_files` cap the whole work tree,
    together with a cache that can be written.
    """

    memory: int
    processes: int
    file_size: int
    output: int
    log: int
    tree_size: int
    tree_files: int


class Phase(StrEnum):
    """What the commands of a sandbox are for: it decides which hosts they reach and whether the cache can change."""

    SETUP = "setup"
    """Set-up commands and the tests that follow them, on the tree that would be committed."""
    CODING = "coding"
    """Everything that an agent runs."""


@dataclass(frozen=True)
class CacheMount:
    """A folder for downloaded dependencies that the commands see at /cache."""

    folder: Path
    writable: bool


class SandboxSession(Protocol):
    """One running sandbox on one work tree; its commands run one after the other."""

    @property
    def alive(self) -> bool:
        """False once the sandbox has ended, by `close` or because a command brought it down: open another one."""
        ...

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
        """Runs `/bin/sh -c command` with the tree as its work folder.

        Never raises for what the command does. When it returns, or is cancelled, every process of the command has
        ended, also those that it left in the background.

        Args:
            timeout: seconds.
            hosts: names that the egress proxy lets the command reach on ports 80 and 443, `*.` for all below; none
                is no network.
            refused: names that the repository allows and its organisation does not. Where `hosts` lacks them they
                are refused like all others, with that as the reason.
        """
        ...

    async def close(self) -> None:
        """Ends the sandbox and everything in it. Does nothing when it has ended."""
        ...


class Sandbox(Protocol):
    """Makes sandboxes in which the work tree is all that commands can change."""

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

    async def open(self, tree: Path, *, cache: CacheMount | None = None, logs: Path | None = None) -> SandboxSession:
        """Starts a sandbox. It ends with `close`, and when this process dies.

        Args:
            logs: folder for the output of commands that is longer than what is kept; None keeps no more.

        Raises:
            InvalidInputError: there is no such tree.
            UnavailableError: code `sandbox_unavailable`.
        """
        ...
