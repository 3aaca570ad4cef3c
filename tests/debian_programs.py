"""Debian's programs that tests run: the machine's own, or what scripts/debian_tools.sh unpacked in .tools/debian."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

UNPACKED = Path(__file__).parent.parent / ".tools/debian"
LIBRARIES = (UNPACKED / "usr/lib/x86_64-linux-gnu", UNPACKED / "usr/lib/aarch64-linux-gnu")


@dataclass(frozen=True)
class Program:
    """A program and the environment that it is to be run with."""

    path: str
    environment: dict[str, str]


def newer_program(name: str) -> Program:
    """The program of that name that `make test` takes from a newer Debian. Skips the test if that could not be had."""
    if (found := _program(name)) is None:
        pytest.skip(f"{name} is not there: `make test` gets it from Debian 13's archive, if that answers")
    return found


def debian_program(name: str) -> Program:
    """The program of that name. Fails the test, and says what to do, if it is not there."""
    if (found := _program(name)) is None:
        pytest.fail(f"{name} is not there: run the tests by `make test`, which gets it, or install it.")
    return found


def _program(name: str) -> Program | None:
    where = os.pathsep.join([os.defpath, "/usr/sbin", "/sbin"])
    if found := shutil.which(name) or shutil.which(name, path=where):
        return Program(found, dict(os.environ))
    libraries = os.pathsep.join(str(one) for one in LIBRARIES if one.is_dir())
    for folder in ("usr/bin", "usr/sbin"):
        if (path := UNPACKED / folder / name).is_file():
            return Program(str(path), {**os.environ, "LD_LIBRARY_PATH": libraries})
    return None


def newer_file(path: str) -> Path:
    """A file that `make test` takes from a newer Debian. Skips the test if that could not be had."""
    if (found := _file(path)) is None:
        pytest.skip(f"{path} is not there: `make test` gets it from Debian 13's archive, if that answers")
    return found


def debian_file(path: str) -> Path:
    """A file that a Debian package brings, by its absolute path on a machine where the package is installed."""
    if (found := _file(path)) is None:
        pytest.fail(f"{path} is not there: run the tests by `make test`, which gets it, or install its package.")
    return found


def _file(path: str) -> Path | None:
    return next((found for root in (Path("/"), UNPACKED) if (found := root / path.lstrip("/")).exists()), None)


def cloud_init_schema(path: Path) -> subprocess.CompletedProcess[str]:
    """What cloud-init's own check says of what a machine is set up by."""
    program = debian_file("/usr/bin/cloud-init")
    modules = debian_file("/usr/lib/python3/dist-packages/cloudinit").parent
    command = ["/usr/bin/python3", program, "schema", "--config-file", path]
    return subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(modules)}, capture_output=True, text=True, check=False
    )
