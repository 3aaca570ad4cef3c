"""Charts as values that a template draws in SVG: no script, no style, a table beside each. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

WIDTH, HEIGHT = 720, 180
LEFT, BOTTOM, TOP = 64, 22, 8
LABELS_MOST = 8


@dataclass(frozen=True)
class Bar:
    """One bar, in units of the picture."""

    x: float
    y: float
    width: float
    height: float
    title: str
    label: str | None


@dataclass(frozen=True)
class Chart:
    """Bars over time; `lines` are heights with the amount that they stand for, in micro-USD."""

    bars: Sequence[Bar]
    lines: Sequence[tuple[float, int]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    floor: int = HEIGHT - BOTTOM


def by_day(amounts: dict[date, int], first: date, last: date, titles: dict[date, str]) -> Chart:
    """A bar for each day from first to last, both included, also for days without anything."""
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    top = nice(max(amounts.values(), default=0))
    room, high = (WIDTH - LEFT) / len(days), HEIGHT - BOTTOM - TOP
    every = -(-len(days) // LABELS_MOST)
    bars = []
    for index, day in enumerate(days):
        height = high * amounts.get(day, 0) / top
        label = f"{day:%b} {day.day}" if index % every == 0 else None
        x = LEFT + index * room + room * 0.1
        bars.append(Bar(x, HEIGHT - BOTTOM - height, room * 0.8, height, titles.get(day, f"{day}: nothing"), label))
    lines = [(HEIGHT - BOTTOM - high * part / 4, top * part // 4) for part in (0, 2, 4)]
    return Chart(bars, lines)


def nice(most: int) -> int:
    """The next amount that is 1, 2 or 5 with zeros behind it, and not less; at least 4."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if factor * step >= max(most, 4):
                return factor * step
        step *= 10
