"""Text from outside, made safe to show: on a terminal, in a title, in a log line. Pure."""

import re

INVISIBLE = "\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f"
"""Soft hyphen, zero-width, bidirectional and tag characters (Unicode 16, general category Cf and Zl/Zp)."""
_CONTROL_OR_SPACE = re.compile(rf"[\x00-\x20\x7f-\xa0{INVISIBLE}]+")
_UNPRINTABLE = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{INVISIBLE}]")


def one_line(text: str, limit: int = 120) -> str:
    """The text on one line, without control and invisible characters, cut to `limit` characters with an ellipsis."""
    clean = _CONTROL_OR_SPACE.sub(" ", text[: limit * 20]).strip()
    return clean if len(clean) <= limit else clean[: limit - 1].rstrip() + "…"


def printable(text: str) -> str:
    """The text with its lines and tabs, every control and invisible character shown as U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n"))
