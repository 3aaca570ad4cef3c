"""Charts as values that a template draws in SVG: no script, no style, the same figures in a table beside each. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from aicd_backend.console.words import duration, money

WIDTH, HEIGHT = 720, 180
LEFT, BOTTOM, TOP = 72, 22, 12
LABELS_MOST = 8
UNITS = (86400, 3600, 60, 1)
"""Seconds of what times are told in, the longest first."""


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
    """Bars over time; `lines` are heights with the amount that they stand for, in words."""

    bars: Sequence[Bar]
    lines: Sequence[tuple[float, str]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    floor: int = HEIGHT - BOTTOM


@dataclass(frozen=True)
class Scale:
    """What the height of a chart stands for, and how an amount is told."""

    top: float
    told: Callable[[float], str]

    @classmethod
    def of_money(cls, amounts: Sequence[int]) -> "Scale":
        """Of micro-USD."""
        return cls(nice(max(amounts, default=0)), lambda amount: money(int(amount)))

    @classmethod
    def of_seconds(cls, amounts: Sequence[float]) -> "Scale":
        """Of times: its lines are at whole minutes, hours or days, where these are longer."""
        most = max(amounts, default=0)
        unit = next((each for each in UNITS if most >= each), 1)
        return cls(nice(-int(-most // unit)) * unit, lambda seconds: duration(seconds) if seconds else "0")


PERCENT = Scale(1, lambda part: f"{100 * part:.0f} %")


def columns(amounts: Mapping[date, float], first: date, last: date, days: int, scale: Scale) -> Chart:
    """A bar for each so many days that end with `last`, also where nothing is.

    Args:
        amounts: by the first of the days; the first of all may lie before `first`.
    """
    spans = -(-((last - first).days + 1) // days)
    begins = [last + timedelta(days=1 - days * (spans - index)) for index in range(spans)]
    room, high = (WIDTH - LEFT) / spans, HEIGHT - BOTTOM - TOP
    every = -(-spans // LABELS_MOST)
    bars = []
    for index, begin in enumerate(begins):
        amount = amounts.get(begin)
        height = high * (amount or 0) / scale.top
        named = f"{begin}" if days == 1 else f"{max(begin, first)} to {begin + timedelta(days=days - 1)}"
        title = f"{named}: {'nothing' if amount is None else scale.told(amount)}"
        label = f"{begin:%b} {begin.day}" if index % every == 0 else None
        x = LEFT + index * room + room * 0.1
        bars.append(Bar(x, HEIGHT - BOTTOM - height, room * 0.8, height, title, label))
    lines = [(HEIGHT - BOTTOM - high * part, scale.told(scale.top * part)) for part in (0, 0.5, 1)]
    return Chart(bars, lines)


@dataclass(frozen=True)
class Share:
    """A bar of a list: its name, where that leads, its length in percent, and its amount in words."""

    name: str
    link: str | None
    part: float
    told: str


def shares(named: Sequence[tuple[str, str | None, float | None]], scale: Scale) -> list[Share]:
    """A bar for each name, its link and its amount; the scale's top is as long as can be."""
    return [
        Share(name, link, 100 * (amount or 0) / scale.top, "none" if amount is None else scale.told(amount))
        for name, link, amount in named
    ]


def nice(most: int) -> int:
    """The next amount that is 1, 2 or 5 with zeros behind it, and not less; at least 4."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if factor * step >= max(most, 4):
                return factor * step
        step *= 10
