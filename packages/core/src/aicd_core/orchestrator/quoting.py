"""Text from outside, to be shown where it must not act: call nobody, refer to nothing, close no issue. Pure."""

import re

from aicd_core.text import one_line, printable

_ZERO_WIDTH = "\u200b"
_ACTS = re.compile(r"@(?=\w)|#(?=\d)|\bgh-(?=\d)|/(?:issues|pull|discussions)/(?=\d)", re.IGNORECASE)
"""Before what makes a mention, or a reference: by sign, as `GH-1`, or by address."""
_FENCE = re.compile(r"`{3,}")


def defused(text: str) -> str:
    """The text, looking as before, in which no mention and no reference is one any more."""
    return _ACTS.sub(lambda found: found[0] + _ZERO_WIDTH, text)


def quoted(text: str, limit: int) -> str:
    """Text from outside in a line of Markdown: without HTML, and defused."""
    return defused(one_line(text, limit)).replace("<", "&lt;")


def fenced(text: str, limit: int) -> str:
    """Text from outside as a block of code, which it cannot end; cut to so many characters."""
    shown = printable(text if len(text) <= limit else f"{text[:limit]}\n… (cut)")
    fence = "`" * max(3, *(len(run) + 1 for run in _FENCE.findall(shown)), 3)
    return f"{fence}text\n{shown}\n{fence}"
