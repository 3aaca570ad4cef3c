"""The operating system's refusals as sentences."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aicd_core.errors import UnavailableError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def disk_error(error: OSError, place: Path) -> UnavailableError:
    """What an `OSError` met at `place` means to the person who runs AI-CD.

    Codes: `no_disk_space`, `not_writable`, `disk_failed`.
    """
    if error.errno in _FULL:
        return UnavailableError(
            f"No space is left on the disk that holds {place}. Free some and run the job again.",
            code="no_disk_space",
        )
    if error.errno in _FORBIDDEN:
        return UnavailableError(
            f"AI-CD may not write to {place} ({error.strerror}). "
            "Give its user the right to, or choose another data directory.",
            code="not_writable",
        )
    return UnavailableError(f"Working on {place} failed: {error.strerror or error}.", code="disk_failed")


@contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turns any `OSError` of the block into the `UnavailableError` of `disk_error`."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, place) from error
