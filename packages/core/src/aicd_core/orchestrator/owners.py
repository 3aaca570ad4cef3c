"""The names of lease holders, which tell whether the process behind one still lives."""

import os
import socket
from pathlib import Path

from aicd_core.ids import new_uuid

PARTS = 5
ENDED = frozenset("ZXx")
"""States of a process that does nothing any more (proc(5), field 3)."""


def _process_start(pid: int) -> str:
    """When a process of this machine started, in clock ticks since boot (proc(5), field 22); '' if it is gone.

    One that has ended and that nobody waited for yet (a zombie) is gone.
    """
    try:
        state, *others = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return "" if state in ENDED else others[18]
    except (OSError, ValueError, IndexError):
        return ""


def _here() -> str:
    """This boot of this machine, and the process ids as they are seen here: a container counts its own."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"


class OwnerNames:
    """Makes the names of one process's leases; no two are the same."""

    def __init__(self) -> None:
        pid = os.getpid()
        self._process = f"{socket.gethostname()}/{_here()}/{pid}/{_process_start(pid)}"

    def new(self) -> str:
        """A name for one holding of one job."""
        return f"{self._process}/{new_uuid()}"


def is_gone(owner: str) -> bool:
    """True when the owner is known to have ended; False of any whose process cannot be seen from here."""
    parts = owner.split("/")
    if len(parts) != PARTS or parts[1] != _here():
        return False
    return _process_start(int(parts[2])) != parts[3]
