"""Locks between processes that the kernel lets go of, however the holder ends."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aicd_core.errors import UnavailableError
from aicd_github.faults import disk_errors

_FIRST_WAIT = 0.005
_LONGEST_WAIT = 0.2


@asynccontextmanager
async def locked(path: Path, timeout: float, *, prepare: Callable[[], object] = lambda: None) -> AsyncIterator[int]:
    """Holds an exclusive `flock(2)` on `path` and yields its file descriptor.

    Hand the descriptor to a child (`pass_fds`) and the lock lasts until the child has ended too: a child
    that outlives a killed parent is never disturbed by the next holder.

    Args:
        path: made when missing; its folder must exist.
        timeout: seconds to wait for another holder.
        prepare: makes the folder, where a holder may remove it together with the file; called before each attempt.

    Raises:
        UnavailableError: code `locked` after the timeout, or the disk's refusal.
    """
    descriptor = await _acquire(path, timeout, prepare)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


async def _acquire(path: Path, timeout: float, prepare: Callable[[], object]) -> int:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    wait = _FIRST_WAIT
    while True:
        prepare()
        descriptor = _try_lock(path)
        if descriptor is not None:
            return descriptor
        if loop.time() >= deadline:
            raise UnavailableError(
                f"Another process has held {path} for {timeout:.0f} s. Wait for it to end, or end it.",
                code="locked",
            )
        await asyncio.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT)


def _try_lock(path: Path) -> int | None:
    with disk_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        # The file may have been removed while its lock was awaited: then this lock guards nothing.
        if _same_file(descriptor, path):
            return descriptor
        os.close(descriptor)
        return None


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), named)
