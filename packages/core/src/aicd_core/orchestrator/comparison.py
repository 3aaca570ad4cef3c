"""Whether two results are the same, byte for byte, and where they first differ. Pure."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from aicd_core.contracts import CodedChange
from aicd_core.contracts.values import Value

StringT = TypeVar("StringT", str, bytes)

BEFORE, AFTER = 20, 40
"""How many bytes around a difference are shown."""


@dataclass(frozen=True)
class Compared:
    """One result, as it is stored and as it was made again. The hashes are SHA-256 (hex), None for what is not there.

    `difference` says in words where they first differ; None when they are the same.
    """

    what: str
    stored_sha256: str | None
    made_sha256: str | None
    difference: str | None

    @property
    def identical(self) -> bool:
        return self.difference is None


def compare_values(what: str, stored: bytes, made: Value) -> Iterator[Compared]:
    """Compares a stored value with one made again; of a coded change the claim, the measured tree and the patch apart.

    The stored one is read and written as `made` is, so that an older form of the same value is no difference.
    """
    kept = type(made).model_validate_json(stored)
    if isinstance(kept, CodedChange) and isinstance(made, CodedChange):
        yield compare(f"{what} claim", _json(kept.change), _json(made.change))
        yield compare(f"{what} tree", *(_json(side.change_set, "patch") for side in (kept, made)))
        yield compare(f"{what} patch", kept.change_set.patch, made.change_set.patch)
    else:
        yield compare(what, _json(kept), _json(made))


def compare(what: str, stored: bytes, made: bytes) -> Compared:
    """Compares two forms of one result."""
    return Compared(what, _sha256(stored), _sha256(made), first_difference(stored, made))


def missing(what: str, stored: bytes | None, made: bytes | None, why: str) -> Compared:
    """What is there on one side only."""
    return Compared(what, _sha256(stored), _sha256(made), why)


def first_difference(stored: bytes, made: bytes) -> str | None:
    """Where two byte strings first differ, with what stands there in each; None when they are equal."""
    if stored == made:
        return None
    at = _common_length(stored, made)
    line = stored.count(b"\n", 0, at) + 1
    return f"byte {at}, line {line}: stored {_around(stored, at)}, made {_around(made, at)}"


def common_ends(one: str, other: str) -> tuple[int, int]:
    """How many characters two texts begin with in common, and how many of what is left they end with in common."""
    begins = _common_length(one, other)
    return begins, _common_length(one[begins:][::-1], other[begins:][::-1])


def _common_length(one: StringT, other: StringT) -> int:
    """How many bytes or characters two strings begin with in common, found by halving."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _around(content: bytes, at: int) -> str:
    if at >= len(content):
        return "ends there"
    return repr(content[max(0, at - BEFORE) : at + AFTER])[1:]


def _json(value: Value, *without: str) -> bytes:
    return value.model_dump_json(exclude=set(without)).encode()


def _sha256(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()
