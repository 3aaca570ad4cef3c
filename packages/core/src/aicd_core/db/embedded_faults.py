"""Why the embedded Postgres did not come up, as a sentence that says what to do. Pure."""

import errno
from pathlib import Path

from aicd_core.errors import UnavailableError

DISK_FULL = "no_disk_space"
NO_SPACE = "No space left on device"
"""strerror(3) of ENOSPC, as Postgres's programs, run in the C locale, repeat it."""
_NO_SUCH_USER = "could not look up effective user ID"
_ELSEWHERE = "choose another place with --data-dir, or set AICD_DATABASE_URL to a server of your own."


def disk_full(place: Path) -> UnavailableError:
    """No room for the database itself, which takes some 40 MiB before its first row."""
    return UnavailableError(
        f"The disk of {place} is full: the embedded Postgres finds no room there. Free some space, {_ELSEWHERE}",
        code=DISK_FULL,
    )


def setup_fault(root: Path, error: Exception) -> UnavailableError:
    """For what the operating system refused before any program of Postgres ran."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return disk_full(root)
    return UnavailableError(
        f"The embedded Postgres under {root} cannot be set up: {error}. {_ELSEWHERE[0].upper()}{_ELSEWHERE[1:]}"
    )


def start_fault(root: Path, program: str, said: str) -> UnavailableError:
    """For a program of Postgres that failed; `said` is the end of its output and of the server's log."""
    if NO_SPACE in said:
        return disk_full(root)
    if _NO_SUCH_USER in said:
        return UnavailableError(
            "The embedded Postgres cannot run as a user without a name, as in a container that was started with a mere "
            "number for its user. Give the number a name in /etc/passwd, run aicd as another user, or set "
            "AICD_DATABASE_URL to a server of your own.",
            code="nameless_user",
        )
    return UnavailableError(
        f"The embedded Postgres under {root} did not start ({program} failed): {said}\n"
        f"Mend what it complains of, {_ELSEWHERE}"
    )
