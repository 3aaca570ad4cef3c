"""What a month will have cost at its end, if it goes on as in the last days: pure."""

from datetime import datetime, timedelta

RECENT = timedelta(days=7)
LEAST = timedelta(days=1)
"""One busy hour is no rate."""


def window(begin: datetime, now: datetime) -> datetime:
    """Since when what was spent says how it goes on: a week ago, or when the month began."""
    return max(begin, now - RECENT)


def forecast(spent: int, recent: int, begin: datetime, now: datetime, end: datetime) -> int:
    """The sum at `end`, never less than what is spent.

    Args:
        spent: since `begin`.
        recent: since `window(begin, now)`.
    """
    over = max(now - window(begin, now), LEAST)
    left = max(end - now, timedelta())
    return spent + recent * int(left.total_seconds()) // int(over.total_seconds())
