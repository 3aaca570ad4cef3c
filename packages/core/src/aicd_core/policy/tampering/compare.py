"""What was taken away from the tests between two versions of their files. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aicd_core.policy.tampering.matching import Matches, Placed, match, placed
from aicd_core.policy.tampering.model import Assertion, Routine, Strength, TestModule

_BLOWN_UP = 10
"""A tolerance, a bound or a time-out that grows so many times no longer tells what it told."""
_DIGITS = frozenset({"places", "decimal", "digits"})
_SAYS_ASSERT = re.compile(r"^(?:assert|verify|expect)(?:_\w|[A-Z])")
_HARMLESS_WHEN_NEW = ("go:build", "pytestmark")
_MARKS = {"retried": "is tried again until it passes", "recovered": "recovers from the panic that would fail it"}
_DEPTH = 3


class Kind(StrEnum):
    """What happened to a test."""

    DELETED = "deleted"
    SKIPPED = "skipped"
    WEAKENED = "weakened"


@dataclass(frozen=True)
class Loss:
    """One thing taken away, as a sentence; `quote` is the source that shows it."""

    kind: Kind
    path: str
    line: int | None
    message: str
    quote: str | None = None


@dataclass(frozen=True)
class _Side:
    """All files of one side: the helpers by name, to count what they assert for those who call them."""

    helpers: Mapping[str, Routine]

    @classmethod
    def of(cls, modules: Sequence[TestModule]) -> "_Side":
        return cls({item.routine.short: item.routine for item in placed(modules) if not item.routine.collected})

    def live(self, routine: Routine, depth: int = _DEPTH) -> list[Assertion]:
        """The assertions that can fail, those of called helpers included."""
        return [a for a in self.all(routine, depth) if a.strength > Strength.NOTHING]

    def all(self, routine: Routine, depth: int = _DEPTH) -> list[Assertion]:
        found = list(routine.assertions)
        for name in routine.helpers if depth else ():
            helper = self.helpers.get(name)
            if helper is not None and helper is not routine:
                found += self.all(helper, depth - 1)
            elif helper is None and _SAYS_ASSERT.match(name) and not any(name in a.text for a in routine.assertions):
                found.append(Assertion(name, Strength.PART, routine.line, calls=frozenset({name})))
        return found


@dataclass(frozen=True)
class _World:
    """Both sides, how their tests pair, and which names of the product are gone."""

    before: _Side
    after: _Side
    matches: Matches
    gone: frozenset[str]
    surplus: Counter[str]


def compare(before: Sequence[TestModule], after: Sequence[TestModule], gone: frozenset[str]) -> list[Loss]:
    """Everything that the later files test less than the earlier ones.

    Args:
        before: the files' earlier versions; one that was not there is empty.
        after: their later versions, in the same order.
        gone: names that the product defined and no longer does; their tests go with them.
    """
    sides = _Side.of(before), _Side.of(after)
    matches = match(before, after)
    texts = [Counter(a.text for i in placed(m) for a in i.routine.live) for m in (after, before)]
    world = _World(*sides, matches, gone, texts[0] - texts[1])
    losses = [loss for one in matches.lost if one.runs for loss in _lost(world, one)]
    losses += [
        loss
        for one, two in matches.pairs
        if one.runs or not one.routine.collected
        for loss in _changed(world, one, two)
    ]
    losses += [loss for two in matches.added if two.runs for loss in _added(two)]
    losses += [loss for old, new in zip(before, after, strict=True) for loss in _switched(old, new)]
    return losses


def _lost(world: _World, one: Placed) -> Iterator[Loss]:
    test = one.routine
    if test.skip is None and not (world.gone & test.calls) and not _lives_on(world, one):
        yield Loss(Kind.DELETED, one.path, None, f"The test {test.name!r} is gone.")


def _lives_on(world: _World, one: Placed) -> bool:
    """True when other tests assert what this one did: word for word, or with its values in a table of theirs."""
    assertions = world.before.live(one.routine)
    if not assertions:
        return not one.routine.assertions and any(two.routine.calls & one.routine.calls for two in world.matches.added)
    return all(world.surplus[a.text] > 0 for a in assertions) or _in_a_table(world, assertions, one.routine)


def _in_a_table(world: _World, assertions: Sequence[Assertion], test: Routine) -> bool:
    values = frozenset(value for a in assertions for value in a.literals) or test.literals
    calls = frozenset(name for a in assertions for name in a.calls) or test.calls
    grown = [two for old, two in world.matches.pairs if not values <= old.routine.literals]
    return bool(values) and any(
        two.runs and values <= two.routine.literals and (calls & two.routine.calls) and world.after.live(two.routine)
        for two in (*grown, *world.matches.added)
    )


def _changed(world: _World, one: Placed, two: Placed) -> Iterator[Loss]:
    old, new = one.routine, two.routine
    if one.runs and not two.runs and old.skip is None:
        message = f"The test {old.name!r} is now {new.name!r} in {two.path}, which no runner collects."
        yield Loss(Kind.DELETED, two.path, new.line, message)
        return
    if one.runs and (old.skip is None or (old.conditional and not new.conditional)):
        yield from _newly_skipped(two, old)
    if one.runs and old.skip is None and new.skip is not None and not new.conditional:
        return
    weakened = [*_asserts_less(world, one, two), *_bounds(old, new), *_rows(world, old, new), *_marks(old, new)]
    yield from (Loss(Kind.WEAKENED, two.path, line, message, quote) for line, message, quote in weakened)


def _newly_skipped(two: Placed, old: Routine) -> Iterator[Loss]:
    new = two.routine
    if new.skip is not None:
        how = "is skipped under a condition" if new.conditional else "is not run, or not to its end"
        yield Loss(Kind.SKIPPED, two.path, new.line, f"The test {new.name!r} {how}.", new.skip)
    elif "focused" in new.marks - old.marks:
        yield Loss(Kind.SKIPPED, two.path, new.line, f"Only {new.name!r} is run; the other tests are left out.")


def _added(two: Placed) -> Iterator[Loss]:
    new = two.routine
    if new.skip is not None and not new.conditional and "todo" not in new.skip:
        yield Loss(Kind.SKIPPED, two.path, new.line, f"The new test {new.name!r} is never run.", new.skip)
    elif "focused" in new.marks:
        yield Loss(Kind.SKIPPED, two.path, new.line, f"Only {new.name!r} is run; the other tests are left out.")


def _switched(old: TestModule, new: TestModule) -> Iterator[Loss]:
    for switch in sorted(new.switches - old.switches):
        if old.routines or old.path or not switch.startswith(_HARMLESS_WHEN_NEW):
            yield Loss(Kind.SKIPPED, new.path, None, "This decides for a whole file or run what is tested.", switch)


Weaker = Iterator[tuple[int, str, str | None]]


def _asserts_less(world: _World, one: Placed, two: Placed) -> Weaker:
    """Assertions that are gone, hold always, or pin down less."""
    old, new = one.routine, two.routine
    had, has = world.before.live(old), world.after.live(new)
    dropped, gained = _without(had, has), _without(has, had)
    idle = [a for a in world.after.all(new) if a.strength is Strength.NOTHING]
    idle = _without(idle, [a for a in world.before.all(old) if a.strength is Strength.NOTHING])
    if dropped and idle and len(gained) < len(dropped):
        yield idle[0].line, f"In {new.name!r}, an assertion can no longer fail.", idle[0].text
        return
    ranked = [sorted(row, key=lambda a: -a.strength) for row in (dropped, gained)]
    for was, now in zip(*ranked, strict=False):
        if now.strength < was.strength:
            yield now.line, f"In {new.name!r}, an assertion pins down less than before.", now.text
            return
    missing = [a for a in dropped if world.surplus[a.text] <= 0 and not (world.gone & a.calls)]
    if len(missing) > len(gained) and not _kept(world, missing, gained, old):
        yield new.line, f"{new.name!r} asserts less: an assertion is gone.", missing[0].text
    mocked = (new.mocked - old.mocked) & frozenset(name for a in had for name in a.calls)
    for name in sorted(mocked):
        yield (
            new.line,
            f"In {new.name!r}, {name} is replaced by a stand-in, so that what it asserts is the stand-in.",
            None,
        )


def _kept(world: _World, missing: Sequence[Assertion], gained: Sequence[Assertion], old: Routine) -> bool:
    """True when the values of the missing assertions are all in those that came, here or in a new test."""
    values = frozenset(value for a in missing for value in a.literals)
    here = frozenset(value for a in gained for value in a.literals)
    return bool(gained and values and values <= here) or _in_a_table_of_new(world, values, old)


def _in_a_table_of_new(world: _World, values: frozenset[str], old: Routine) -> bool:
    return bool(values) and any(
        two.runs and values <= two.routine.literals and (old.calls & two.routine.calls) for two in world.matches.added
    )


def _without(row: Sequence[Assertion], other: Sequence[Assertion]) -> list[Assertion]:
    left = Counter(a.text for a in other)
    kept = []
    for found in row:
        if left[found.text] > 0:
            left[found.text] -= 1
        else:
            kept.append(found)
    return kept


def _bounds(old: Routine, new: Routine) -> Weaker:
    for name in sorted(old.bounds.keys() & new.bounds.keys()):
        was, now = old.bounds[name], new.bounds[name]
        if now < was if name in _DIGITS else (now > 0 and now >= _BLOWN_UP * was and now != was):
            yield new.line, f"In {new.name!r}, {name} goes from {was:g} to {now:g}.", None


def _rows(world: _World, old: Routine, new: Routine) -> Weaker:
    lost = old.literals - new.literals
    if old.rows > new.rows and lost and not _in_a_table_of_new(world, lost, old):
        yield new.line, f"{new.name!r} has {old.rows - new.rows} of its {old.rows} cases less.", None


def _marks(old: Routine, new: Routine) -> Weaker:
    for mark in sorted((new.marks - old.marks) & _MARKS.keys()):
        yield new.line, f"{new.name!r} {_MARKS[mark]}.", None
