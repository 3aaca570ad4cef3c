"""Which hosts a phase's commands may reach: those that the repository names, within what its organisation allows."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """The hosts that commands reach, `*.` for all below a name, and those that only the repository allows.

    A refused entry may stand for more names than it does in `hosts`: those in `hosts` are reached all the same.
    """

    hosts: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is a way out at all, be it one on which every host is refused."""
        return bool(self.hosts or self.refused)


def bounded(asked: Sequence[str], bound: Sequence[str] | None) -> Network:
    """What is in both lists; `*.` stands for all names below.

    Args:
        asked: the repository's list.
        bound: the organisation's `allowed_hosts`; None has no bound.
    """
    if bound is None:
        return Network(hosts=tuple(asked))
    within = [narrower for one in asked for other in bound if (narrower := _narrower(one, other)) is not None]
    refused = tuple(one for one in asked if one not in within)
    return Network(hosts=tuple(dict.fromkeys(within)), refused=refused)


def _narrower(one: str, other: str) -> str | None:
    """The names that two entries have in common, as an entry; None when they have none."""
    if one == other or _covers(other, one):
        return one
    return other if _covers(one, other) else None


def _covers(wide: str, entry: str) -> bool:
    return wide.startswith("*.") and entry.endswith(wide[1:])
