"""Caps, and when somebody is warned of them: pure. All amounts are in micro-USD, in a calendar month of UTC."""

from dataclasses import dataclass

LEVELS = (50, 80, 100)
"""Percent of a cap at which a warning is given."""


@dataclass(frozen=True)
class Caps:
    """The soft one only warns; at the hard one no more work is done until the month ends or it is raised."""

    soft: int | None = None
    hard: int | None = None


@dataclass(frozen=True)
class Warned:
    """The levels of both caps that were warned of already in the month."""

    soft: int = 0
    hard: int = 0


@dataclass(frozen=True)
class CapWarning:
    """One level of one cap was reached."""

    cap: str
    percent: int


def level_of(spent: int, cap: int | None) -> int:
    """The highest level that was reached; 0 for none."""
    if cap is None:
        return 0
    return max((level for level in LEVELS if spent * 100 >= level * cap), default=0)


def due_warnings(spent: int, caps: Caps, warned: Warned) -> tuple[list[CapWarning], Warned]:
    """The warnings that are to be given now, each level once, and what was warned of then."""
    soft, hard = level_of(spent, caps.soft), level_of(spent, caps.hard)
    due = [CapWarning("soft", level) for level in LEVELS if warned.soft < level <= soft]
    due += [CapWarning("hard", level) for level in LEVELS if warned.hard < level <= hard]
    return due, Warned(max(warned.soft, soft), max(warned.hard, hard))


def after_change(spent: int, caps: Caps, warned: Warned) -> Warned:
    """What counts as warned of under new caps: of a raised one what is not reached any more is warned of again."""
    return Warned(min(warned.soft, level_of(spent, caps.soft)), min(warned.hard, level_of(spent, caps.hard)))
