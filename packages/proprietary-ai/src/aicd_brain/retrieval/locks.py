"""A lock between processes that the kernel lets go of, however its holder ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aicd_core.errors import UnavailableError

PAUSE = 0.05


@contextmanager
def locked(folder: Path, patience: float) -> Iterator[None]:
    """Holds `flock(2)` on the file `lock` in the folder, which is made when missing. Blocks its thread.

    Args:
        patience: seconds to wait for another holder.

    Raises:
        UnavailableError: another process held it for too long (`retrieval_locked`), or the disk refused.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise UnavailableError(
            f"The search index in {folder} cannot be written to ({error.strerror}). Free some space, or mend the "
            "folder's permissions.",
            code="retrieval_unwritable",
        ) from error
    try:
        _wait(descriptor, folder, time.monotonic() + patience)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, folder: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise UnavailableError(
                    f"Another process has worked on the search index in {folder} for too long. Wait for it to end.",
                    code="retrieval_locked",
                ) from error
            time.sleep(PAUSE)
        else:
            return
