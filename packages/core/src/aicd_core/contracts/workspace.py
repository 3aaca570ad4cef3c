"""The only door through which an agent reaches a repository."""

from collections.abc import Sequence
from typing import Protocol

from aicd_core.contracts.evidence import CommandResult
from aicd_core.contracts.values import RepoPath, Value


class Match(Value):
    """One line found by `Workspace.search`; `line` is 1-based."""

    path: RepoPath
    line: int
    text: str


class Workspace(Protocol):
    """A work tree seen through the sandbox.

    Paths are relative to the tree's root. A path that is absolute, contains `..`, names `.git`, or leads
    out through a symlink raises `InvalidInputError(code="path_escapes")`. A missing file raises
    `NotFoundError`.
    """

    async def read(self, path: str) -> bytes:
        """The whole content of a regular file."""
        ...

    async def write(self, path: str, content: bytes, *, executable: bool | None = None) -> None:
        """Creates or overwrites a file and its parent folders; `executable=None` keeps the mode."""
        ...

    async def replace(self, path: str, old: str, new: str) -> None:
        """Replaces the one exact occurrence of `old`; none or several raise `InvalidInputError`."""
        ...

    async def search(self, pattern: str, *, glob: str | None = None, limit: int = 200) -> Sequence[Match]:
        """Lines matching a Python regular expression in text files, in path order."""
        ...

    async def list(self, prefix: str = "") -> Sequence[str]:
        """All file paths (no folders) at or below `prefix`, sorted."""
        ...

    async def run(
        self, command: str, *, timeout: float | None = None, network: bool = False, stdin: bytes = b""
    ) -> CommandResult:
        """Runs `command` with `/bin/sh -c` in the sandbox, in the tree's root.

        Args:
            timeout: seconds; None is the sandbox's default.
            network: ask for the hosts that the repository allows in this phase, through the egress proxy; refused where
                it allows none. What the proxy refuses is in the result's `denials`.
        """
        ...

    async def diff(self) -> bytes:
        """`git diff --binary` from the base commit to the tree as it is now."""
        ...

    async def reset(self) -> None:
        """Lays the tree as it is at the base commit; everything else in it is gone."""
        ...
