"""Regular expressions of strangers, in time linear in the text: RE2's syntax, without back-references or look-around.

https://github.com/google/re2/wiki/Syntax
"""

from functools import lru_cache
from typing import Protocol

import re2

from aicd_core.errors import InvalidInputError

_MEMORY = 1 << 20
"""Bytes that one compiled pattern may take; RE2 gives up on a pattern that needs more."""


class LinePattern(Protocol):
    """A compiled pattern."""

    def search(self, text: str) -> object | None:
        """Something when the pattern is in the text, or None."""
        ...


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> LinePattern:
    """A pattern whose `search` finds it anywhere in a line.

    Raises:
        InvalidInputError: code `bad_pattern`; the engine does not take it, and says why.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        compiled: LinePattern = re2.compile(pattern, options)  # type: ignore[no-untyped-call]
    except re2.error as error:
        said = error.args[0] if error.args else "it is not taken"
        words = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise InvalidInputError(
            f"{pattern!r} is no regular expression of RE2: {words}. Look-around and back-references are not taken.",
            code="bad_pattern",
        ) from error
    return compiled
