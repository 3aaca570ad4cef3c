"""Lengths of time, and moments, as people type them."""

import re
from datetime import UTC, datetime

from aicd_core.errors import InvalidInputError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)


def parse_duration(text: str, option: str) -> float:
    """Seconds of `90s`, `15m`, `24h` or `7d`, more than 0.

    Raises:
        InvalidInputError: `bad_duration`.
    """
    found = _DURATION.fullmatch(text.strip())
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not seconds:
        raise InvalidInputError(
            f"{option} takes a number and a unit, such as 90s, 15m, 24h or 7d; got {text!r}.", code="bad_duration"
        )
    return float(seconds)


def parse_moment(text: str) -> datetime | None:
    """A moment in ISO 8601, of UTC unless it says otherwise; None for `latest`.

    Raises:
        InvalidInputError: `bad_moment`.
    """
    if text == "latest":
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(
            f"--at takes `latest`, or a moment such as 2026-11-26T14:30:00Z; got {text!r}.", code="bad_moment"
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
