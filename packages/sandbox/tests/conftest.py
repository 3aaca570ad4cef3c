"""A sandbox with roomy limits, a work tree that its user owns, and a look at the host's processes."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from aicd_core.contracts import CommandResult, Sandbox, SandboxLimits
from aicd_sandbox import BubblewrapSandbox

MIB = 1024 * 1024

Run = Callable[..., Awaitable[CommandResult]]


@pytest.fixture
def limits() -> SandboxLimits:
    return SandboxLimits(memory=1024 * MIB, processes=256, file_size=64 * MIB, output=64 * 1024)


@pytest.fixture
def sandbox(limits: SandboxLimits) -> Sandbox:
    return BubblewrapSandbox(limits)


@pytest.fixture
def tree(tmp_path: Path, sandbox: Sandbox) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    if sandbox.owner is not None:
        os.chown(folder, *sandbox.owner)
    return folder


@pytest.fixture
def run(tree: Path, limits: SandboxLimits) -> Run:
    """Runs a command; keyword arguments that name a limit set it, all others go to `Sandbox.run`."""

    async def run_with(command: str, **changes: object) -> CommandResult:
        wanted = {name: changes.pop(name) for name in SandboxLimits.model_fields if name in changes}
        arguments = {"timeout": 20.0, **changes}
        return await BubblewrapSandbox(limits.model_copy(update=wanted)).run(command, tree=tree, **arguments)

    return run_with


@pytest.fixture
def host_processes() -> Callable[[str], list[int]]:
    """Finds the host's numbers of all living processes that have the given word among their arguments."""

    def find(word: str) -> list[int]:
        found = []
        for folder in Path("/proc").iterdir():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0") if folder.name.isdigit() else []
            except OSError:
                continue
            if word.encode() in words:
                found.append(int(folder.name))
        return found

    return find
