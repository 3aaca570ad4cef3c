"""Sandboxes of every kind with roomy limits, a work tree that their user owns, and a look at the host's processes."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from pathlib import Path

import pytest

from aicd_core.contracts import CommandResult, Sandbox, SandboxLimits, SandboxSession
from aicd_sandbox import BubblewrapSandbox, ContainerSandbox
from aicd_sandbox.egress.proxy import Internet

MIB = 1024 * 1024
IMAGE = "localhost/aicd-sandbox-test:latest"

Run = Callable[..., Awaitable[CommandResult]]
Make = Callable[..., Sandbox]


@cache
def missing(engine: str) -> str:
    """Why there is no container of this engine here; nothing when there can be."""
    if shutil.which(engine) is None:
        return f"{engine} is not installed"
    for question, remedy in (("info", "start it"), (f"image inspect {IMAGE}", "scripts/sandbox_image.sh makes it")):
        asked = subprocess.run([engine, *question.split()], capture_output=True, timeout=60)
        if asked.returncode != 0:
            complaint = asked.stderr.decode(errors="replace").strip().splitlines()[-1:]
            return f"`{engine} {question}` failed ({' '.join(complaint)}): {remedy}"
    return ""


@pytest.fixture(params=["bubblewrap", "podman", "docker"])
def kind(request: pytest.FixtureRequest) -> str:
    """Every test with this fixture below it is part of the contract that all sandboxes keep."""
    if request.param != "bubblewrap" and missing(request.param):
        pytest.skip(missing(request.param))
    return str(request.param)


@pytest.fixture
def limits() -> SandboxLimits:
    return SandboxLimits(
        memory=1024 * MIB,
        processes=256,
        file_size=64 * MIB,
        output=64 * 1024,
        log=4 * MIB,
        tree_size=256 * MIB,
        tree_files=20_000,
    )


@pytest.fixture
def make(kind: str, limits: SandboxLimits) -> Make:
    """Makes a sandbox of the kind; keyword arguments that name a limit set it."""

    def made(internet: Internet | None = None, **changes: int) -> Sandbox:
        wanted = limits.model_copy(update=changes)
        if kind == "bubblewrap":
            return BubblewrapSandbox(wanted, internet=internet)
        return ContainerSandbox(wanted, engine=kind, image=IMAGE, internet=internet)

    return made


@pytest.fixture
def sandbox(make: Make) -> Sandbox:
    return make()


@pytest.fixture
def tree(tmp_path: Path, sandbox: Sandbox) -> Path:
    return own_folder(tmp_path / "tree", sandbox)


def own_folder(folder: Path, sandbox: Sandbox) -> Path:
    """A folder that belongs to the sandbox's user and that the user can get to."""
    folder.mkdir(mode=0o700)
    if sandbox.owner is not None:
        os.chown(folder, *sandbox.owner)
    return folder


@pytest.fixture
async def session(sandbox: Sandbox, tree: Path, tmp_path: Path) -> AsyncIterator[SandboxSession]:
    opened = await sandbox.open(tree, logs=tmp_path / "logs")
    yield opened
    await opened.close()


@pytest.fixture
async def run(make: Make, tree: Path, tmp_path: Path) -> AsyncIterator[Run]:
    """Runs a command, in the sandbox of the call before if it has the same limits; those are keyword arguments."""
    opened: dict[tuple[tuple[str, int], ...], SandboxSession] = {}

    async def run_with(command: str, **arguments: object) -> CommandResult:
        wanted = {name: int(str(arguments.pop(name))) for name in SandboxLimits.model_fields if name in arguments}
        key = tuple(sorted(wanted.items()))
        if key not in opened or not opened[key].alive:
            opened[key] = await make(**wanted).open(tree, logs=tmp_path / "logs")
        return await opened[key].run(command, **{"timeout": 20.0, **arguments})

    yield run_with
    for one in opened.values():
        await one.close()


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
