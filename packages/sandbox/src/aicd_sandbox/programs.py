"""The programs that a sandbox is started with: where they are, and whether they are new enough."""

import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from aicd_core.errors import UnavailableError

Version = tuple[int, int, int]

MINIMUM_VERSION: Version = (0, 5, 0)
"""The first bubblewrap with `--perms`."""

SIZED_TMPFS_VERSION: Version = (0, 7, 0)
"""The first bubblewrap with `--size`."""

SYSTEM_FOLDERS = ("/usr/", "/bin/", "/sbin/")

INSTALL_BWRAP = (
    "install it with `sudo apt-get install bubblewrap` (Fedora, RHEL: `sudo dnf install bubblewrap`; "
    "Arch: `sudo pacman -S bubblewrap`)"
)
INSTALL_UTIL_LINUX = "install it with `sudo apt-get install util-linux` (Fedora, RHEL: `sudo dnf install util-linux`)"
INSTALL_PYTHON = "install it with `sudo apt-get install python3` (Fedora, RHEL: `sudo dnf install python3`)"


@dataclass(frozen=True)
class Programs:
    """Absolute paths, and what this bubblewrap can do."""

    bwrap: str
    setpriv: str
    prlimit: str
    python: str
    version: Version
    sized_tmpfs: bool
    """Whether a private file system in memory can be given a size: not by an old or a setuid bubblewrap."""

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))


def unavailable(message: str) -> UnavailableError:
    """The error of every sandbox that cannot be started."""
    return UnavailableError(message, code="sandbox_unavailable")


def find_programs(path: str | None) -> Programs:
    """Finds the programs and asks bubblewrap for its version.

    Args:
        path: folders to look in, `:`-separated; None takes the process's PATH.

    Raises:
        UnavailableError: `sandbox_unavailable`; a program is missing, too old, or not the system's.
    """
    bwrap = shutil.which("bwrap", path=path)
    if bwrap is None:
        raise unavailable(
            f"Commands run only in a sandbox, and its program bwrap (bubblewrap) is not installed: {INSTALL_BWRAP}."
        )
    version = _version_of(bwrap)
    if version < MINIMUM_VERSION:
        raise unavailable(
            f"{bwrap} is bubblewrap {'.'.join(map(str, version))}, and the sandbox needs 0.5.0 or newer: "
            f"upgrade the system, or {INSTALL_BWRAP} on a newer release."
        )
    setuid = bool(Path(bwrap).stat().st_mode & stat.S_ISUID) and os.geteuid() != 0
    return Programs(
        bwrap=bwrap,
        setpriv=_system_program("setpriv", path),
        prlimit=_system_program("prlimit", path),
        python=_system_python(path),
        version=version,
        sized_tmpfs=version >= SIZED_TMPFS_VERSION and not setuid,
    )


def parse_version(text: str) -> Version | None:
    """The version in `bubblewrap 0.8.0`, or None when there is none."""
    match = re.search(r"\b(\d+)\.(\d+)(?:\.(\d+))?\b", text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def _version_of(bwrap: str) -> Version:
    try:
        done = subprocess.run([bwrap, "--version"], capture_output=True, timeout=10, check=False, env={})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise unavailable(f"{bwrap} could not be started ({error}): {INSTALL_BWRAP}.") from error
    version = parse_version(done.stdout.decode(errors="replace"))
    if version is None:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()[:500]
        raise unavailable(f"{bwrap} does not tell its version (it said: {said!r}): {INSTALL_BWRAP}.")
    return version


def _system_python(path: str | None) -> str:
    """The system's own Python, for the command server; the one that runs us may be anywhere."""
    folders = [folder for folder in (path or os.environ.get("PATH", os.defpath)).split(":") if folder]
    own = [folder for folder in folders if f"{folder}/".startswith(SYSTEM_FOLDERS)]
    found = shutil.which("python3", path=":".join([*own, "/usr/bin"]))
    if found is None:
        raise unavailable(f"The sandbox needs a python3 of the system, which is not installed: {INSTALL_PYTHON}.")
    return found


def _system_program(name: str, path: str | None) -> str:
    found = shutil.which(name, path=path)
    if found is None:
        raise unavailable(f"The sandbox needs the program {name}, which is not installed: {INSTALL_UTIL_LINUX}.")
    if not found.startswith(SYSTEM_FOLDERS):
        raise unavailable(
            f"The sandbox runs {name} inside, where only the system's folders are visible, but the one found "
            f"is {found}: {INSTALL_UTIL_LINUX}, and put /usr/bin before its folder on the PATH."
        )
    return found
