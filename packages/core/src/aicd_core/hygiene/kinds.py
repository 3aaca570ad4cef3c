"""The kinds of what is hidden, and the words in which a person is told of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class HiddenKind(StrEnum):
    """What was taken out of a text, or made visible in it."""

    COMMENT = "comment"
    ELEMENT = "element"
    ATTRIBUTE = "attribute"
    DEFINITION = "definition"
    INVISIBLE = "invisible"
    DIRECTION = "direction"
    TAG = "tag"
    CONTROL = "control"
    TERMINAL = "terminal"
    LOOK_ALIKE = "look_alike"
    IN_CODE = "in_code"


WORDS: Mapping[HiddenKind, tuple[str, str]] = MappingProxyType(
    {
        HiddenKind.COMMENT: ("hidden comment", "hidden comments"),
        HiddenKind.ELEMENT: ("hidden element", "hidden elements"),
        HiddenKind.ATTRIBUTE: ("text in an attribute", "texts in attributes"),
        HiddenKind.DEFINITION: ("unused link definition", "unused link definitions"),
        HiddenKind.INVISIBLE: ("invisible character", "invisible characters"),
        HiddenKind.DIRECTION: ("direction control", "direction controls"),
        HiddenKind.TAG: ("tag character", "tag characters"),
        HiddenKind.CONTROL: ("control character", "control characters"),
        HiddenKind.TERMINAL: ("terminal sequence", "terminal sequences"),
        HiddenKind.LOOK_ALIKE: ("look-alike letter", "look-alike letters"),
        HiddenKind.IN_CODE: ("hidden character in code", "hidden characters in code"),
    }
)
"""One and many of each kind."""


@dataclass(frozen=True)
class Cleaned:
    """A text without what was hidden in it, and how much of each kind that was."""

    text: str
    removed: Mapping[HiddenKind, int]


def told(removed: Mapping[HiddenKind, int]) -> str:
    """What was hidden, in words, such as `2 hidden comments and 1 tag character`; empty when nothing was."""
    parts = [f"{removed[kind]:,} {WORDS[kind][removed[kind] > 1]}" for kind in HiddenKind if removed.get(kind)]
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))
