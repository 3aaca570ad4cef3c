"""What a test file says, language left out: its routines, what each asserts, and what keeps it from running."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum


class Strength(IntEnum):
    """How much an assertion pins down."""

    NOTHING = 0
    """It holds whatever the code does: `assert True`, `expect(x).toBe(x)`."""
    TRUTH = 1
    """Nearly anything will do: `assert x`, `toBeDefined()`, `err != nil`."""
    PART = 2
    """A bound, a part or an approximation."""
    EXACT = 3
    """One value, one type of error, one call."""
    EXACT_WORDS = 4
    """One type of error, and what it says."""


@dataclass(frozen=True)
class Assertion:
    """One assertion that is reached; `text` is its source in normal form."""

    text: str
    strength: Strength
    line: int
    literals: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Routine:
    """A test, or a function beside the tests that they may call.

    `name` is the whole name (`Class.test`, `describe > it`), `short` its last part; `collected` says whether a
    runner would run it. `skip` is what keeps it from running, in the source's own words; `conditional` when
    that depends. `rows` counts the cases of its table. `bounds` are tolerances and time-outs by what they are;
    `marks` are other things that change what a failure means. `helpers` are the functions of the same file that it
    calls, one entry for each call.
    """

    name: str
    short: str
    line: int
    collected: bool
    assertions: tuple[Assertion, ...] = ()
    skip: str | None = None
    conditional: bool = False
    rows: int = 0
    bounds: Mapping[str, float] = field(default_factory=dict)
    marks: frozenset[str] = frozenset()
    literals: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset()
    helpers: tuple[str, ...] = ()
    mocked: frozenset[str] = frozenset()
    body: str = ""

    @property
    def live(self) -> tuple[Assertion, ...]:
        """The assertions that can fail."""
        return tuple(found for found in self.assertions if found.strength > Strength.NOTHING)


@dataclass(frozen=True)
class TestModule:
    """One version of one test file. `switches` are what turns off or filters tests of the whole file or run."""

    __test__ = False  # not a pytest class

    path: str
    routines: tuple[Routine, ...] = ()
    switches: frozenset[str] = frozenset()


EMPTY = TestModule("")
