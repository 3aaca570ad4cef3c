"""Limits for a sandbox as a whole, where the kernel's control groups can be written (cgroups(7)), version 1 or 2."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PREFIX = "aicd-sandbox-"
OWN = 4
"""Processes that are ours and not the commands': bubblewrap's two, the command server, a helper while it starts."""

REMOVAL_SECONDS = 1.0
WANTED = ("memory", "pids")

PLACE_ITSELF = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ >"$1" || exit 1; shift; n=$((n - 1)); done; exec "$@"'
"""A shell that moves itself into the groups before it becomes the program: so nothing starts outside of them."""


@dataclass(frozen=True)
class Cgroup:
    """The groups of one sandbox: one folder in version 2, one for each controller in version 1."""

    folders: tuple[Path, ...]

    def entering(self, words: list[str]) -> list[str]:
        """The command line that starts a program inside of the groups."""
        files = [str(folder / "cgroup.procs") for folder in self.folders]
        return ["/bin/sh", "-c", PLACE_ITSELF, "sh", str(len(files)), *files, *words]

    def memory_kills(self) -> int:
        """How often the kernel ended a process because the memory was used up."""
        for folder in self.folders:
            for name in ("memory.events", "memory.oom_control"):
                with suppress(OSError):
                    for line in (folder / name).read_text().splitlines():
                        key, _, value = line.partition(" ")
                        if key == "oom_kill":
                            return int(value)
        return 0

    def remove(self) -> None:
        """Removes the groups of a sandbox that has ended; the kernel takes a moment to see that they are empty."""
        end = time.monotonic() + REMOVAL_SECONDS
        for folder in self.folders:
            while folder.exists() and time.monotonic() < end:
                with suppress(OSError):
                    folder.rmdir()
                    break
                time.sleep(0.01)


def make_cgroup(memory: int, processes: int, *, root: Path = Path("/")) -> Cgroup | None:
    """Groups with these limits, or None where there are none to be had.

    Args:
        memory: bytes of all processes together.
        root: where /proc and /sys are; tests put their own there.
    """
    parents = _parents(root)
    if parents is None:
        return None
    name = f"{PREFIX}{os.getpid()}-{time.monotonic_ns()}"
    made: list[Path] = []
    try:
        for controllers, parent in parents.items():
            _sweep(parent)
            folder = parent / name
            folder.mkdir()
            made.append(folder)
            _limit(folder, controllers, memory, processes + OWN)
    except OSError:
        Cgroup(tuple(made)).remove()
        return None
    return Cgroup(tuple(made))


def _limit(folder: Path, controllers: tuple[str, ...], memory: int, processes: int) -> None:
    if "pids" in controllers:
        (folder / "pids.max").write_text(str(processes))
    if "memory" not in controllers:
        return
    if (folder / "memory.max").exists():
        (folder / "memory.max").write_text(str(memory))
        with suppress(OSError):
            (folder / "memory.swap.max").write_text("0")
        return
    (folder / "memory.limit_in_bytes").write_text(str(memory))
    with suppress(OSError):
        (folder / "memory.memsw.limit_in_bytes").write_text(str(memory))


def _parents(root: Path) -> dict[tuple[str, ...], Path] | None:
    """The folders to make groups in, by the controllers that they have there; None unless all are had."""
    try:
        own = _own_groups((root / "proc/self/cgroup").read_text())
        mounts = _mounts((root / "proc/self/mountinfo").read_text())
    except OSError:
        return None
    found: dict[tuple[str, ...], Path] = {}
    for controller in WANTED:
        if controller in mounts:
            mount = root / mounts[controller].lstrip("/")
            inside = mount / own.get(controller, "/").lstrip("/")
            found[(controller,)] = inside if inside.is_dir() else mount
    if not found and "" in mounts:
        unified = _delegated(root / mounts[""].lstrip("/"), own.get("", "/"))
        return {WANTED: unified} if unified else None
    return found if len(found) == len(WANTED) else None


def _delegated(mount: Path, own: str) -> Path | None:
    """The group of version 2 nearest to our own whose children have the controllers and that we may write to."""
    group = mount / own.lstrip("/")
    while group.is_relative_to(mount):
        with suppress(OSError):
            enabled = (group / "cgroup.subtree_control").read_text().split()
            if set(WANTED) <= set(enabled) and os.access(group, os.W_OK):
                return group
        group = group.parent
    return None


def _own_groups(text: str) -> dict[str, str]:
    """Paths by controller from `4:memory:/path`; that of version 2 has no controller's name."""
    groups: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        groups |= dict.fromkeys(controllers.split(","), path)
    return groups


def _mounts(text: str) -> dict[str, str]:
    """Mount points by controller, from mountinfo (proc(5)); that of version 2 under the empty name."""
    mounts: dict[str, str] = {}
    for line in text.splitlines():
        words = line.split(" ")
        kind, options = words[words.index("-") + 1], words[-1].split(",")
        if kind == "cgroup2":
            mounts[""] = words[4]
        elif kind == "cgroup":
            mounts |= {option: words[4] for option in options if option in WANTED}
    return mounts


def _sweep(parent: Path) -> None:
    """Removes what killed workers left; the kernel refuses where processes are left."""
    for folder in parent.glob(f"{PREFIX}*"):
        worker = folder.name.removeprefix(PREFIX).partition("-")[0]
        if not Path(f"/proc/{worker}").exists():
            with suppress(OSError):
                folder.rmdir()
