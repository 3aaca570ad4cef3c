"""Reading an issue from the command line, a file or a pipe."""

import os
import sys
from pathlib import Path

from aicd_core.errors import InvalidInputError
from aicd_core.orchestrator import IssueText


def read_issue(text: str | None, file: Path | None, *, max_bytes: int) -> IssueText:
    """The issue named by exactly one of the two options; `-` as a file is standard input.

    No more than `max_bytes` and one are ever held in memory.

    Raises:
        InvalidInputError: neither or both are given, the file cannot be read, or the text is not usable.
    """
    if (text is None) == (file is None):
        raise InvalidInputError("Say what is wanted with exactly one of --issue TEXT and --issue-file FILE.")
    if text is not None:
        return IssueText.parse(os.fsencode(text), max_bytes=max_bytes, name="The issue")
    assert file is not None
    if str(file) == "-":
        return IssueText.parse(sys.stdin.buffer.read(max_bytes + 1), max_bytes=max_bytes, name="Standard input")
    try:
        with file.open("rb") as stream:
            # A regular file's true size makes a better message than the one byte too many that is read.
            excess = max(0, os.fstat(stream.fileno()).st_size - max_bytes)
            raw = stream.read(max_bytes + 1)
    except OSError as error:
        message = f"The issue file {file} cannot be read: {error.strerror}."
        raise InvalidInputError(message, code="issue_unreadable") from error
    if excess:
        raise InvalidInputError(
            f"{file} has {excess + max_bytes:,} bytes; at most {max_bytes:,} are taken. Shorten it, or split the work "
            "into several issues (the limit is AICD_ISSUE_MAX_BYTES).",
            code="issue_too_large",
        )
    return IssueText.parse(raw, max_bytes=max_bytes, name=str(file))
