"""Text from outside, made safe to show: on a terminal, in a title, in a log line. Pure."""

import re

from aicd_core.errors import InvalidInputError

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


def number_of(count: int, noun: str) -> str:
    """A number of things: `1 file`, `2 files`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def require_text(text: str, what: str, *, most: int, least: int = 0) -> str:
    """The text itself, if the database can store it exactly.

    Args:
        what: what the text is called in an error.
        most: characters at the most; `least`: at the least.

    Raises:
        InvalidInputError: too long or too short, a NUL, or half of a surrogate pair.
    """
    if not least <= len(text) <= most:
        wanted = f"at most {most:,}" if not least else f"{least:,} to {most:,}"
        raise InvalidInputError(f"{what} has {len(text):,} characters; it may have {wanted}.", code="bad_length")
    if "\x00" in text:
        raise InvalidInputError(f"{what} holds a NUL character. Take it out.", code="bad_character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"{what} holds half of a surrogate pair at character {error.start}; it is no valid text.",
            code="bad_character",
        ) from error
    return text
