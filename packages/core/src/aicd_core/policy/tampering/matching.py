"""Finding each test of before among those of after: by name, by body, by likeness."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from aicd_core.policy.tampering.model import Routine, TestModule
from aicd_core.policy.tampering.reading import is_collected

ALIKE = 0.6
"""Two tests that share so much of their words, of all that both have, are one test changed."""
MOST_COMPARED = 40_000
"""Pairs whose likeness is worth the time."""


@dataclass(frozen=True)
class Placed:
    """A routine and the file that it stands in."""

    path: str
    routine: Routine

    @property
    def runs(self) -> bool:
        """A runner finds it."""
        return self.routine.collected and is_collected(self.path)


@dataclass
class Matches:
    """What became of the tests: `pairs` of before and after; `lost` has none after, `added` none before."""

    pairs: list[tuple[Placed, Placed]] = field(default_factory=list)
    lost: list[Placed] = field(default_factory=list)
    added: list[Placed] = field(default_factory=list)


def placed(modules: Iterable[TestModule]) -> list[Placed]:
    """All routines of the files, in order."""
    return [Placed(module.path, routine) for module in modules for routine in module.routines]


def match(before: Sequence[TestModule], after: Sequence[TestModule]) -> Matches:
    """Pairs every routine; the two rows of files are in the same order, each file with its later self."""
    old, new = placed(before), placed(after)
    later = {one.path: two.path for one, two in zip(before, after, strict=True)}
    result = Matches(lost=old, added=new)
    _pair(result, lambda one: (later.get(one.path, ""), one.routine.name), lambda two: (two.path, two.routine.name))
    _pair(result, lambda one: one.routine.short, lambda two: two.routine.short)
    _pair(result, lambda one: one.routine.body, lambda two: two.routine.body)
    _pair_alike(result)
    return result


def _pair(result: Matches, key_before: Callable[[Placed], object], key_after: Callable[[Placed], object]) -> None:
    """Pairs what has the same key; a test goes to one that runs, if there is one."""
    waiting: dict[object, list[Placed]] = {}
    for two in sorted(result.added, key=lambda item: not item.runs):
        waiting.setdefault(key_after(two), []).append(two)
    for one in list(result.lost):
        found = waiting.get(key_before(one))
        if found:
            _join(result, one, found.pop(0))


def _pair_alike(result: Matches) -> None:
    tests = [one for one in result.lost if one.runs]
    if len(tests) * len(result.added) > MOST_COMPARED:
        return
    words = {id(item): frozenset(item.routine.body.split()) for item in (*tests, *result.added)}
    likeness = [
        (_share(words[id(one)], words[id(two)]), n, m)
        for n, one in enumerate(tests)
        for m, two in enumerate(result.added)
    ]
    candidates = list(result.added)
    taken: set[int] = set()
    for share, n, m in sorted(likeness, key=lambda item: (-item[0], item[1], item[2])):
        if share >= ALIKE and n not in taken and ~m not in taken:
            taken |= {n, ~m}
            _join(result, tests[n], candidates[m])


def _share(one: frozenset[str], two: frozenset[str]) -> float:
    return len(one & two) / len(one | two) if one and two else 0.0


def _join(result: Matches, one: Placed, two: Placed) -> None:
    result.pairs.append((one, two))
    result.lost = [item for item in result.lost if item is not one]
    result.added = [item for item in result.added if item is not two]
