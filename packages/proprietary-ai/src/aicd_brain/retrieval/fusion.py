"""Reciprocal rank fusion: https://plg.uwaterloo.ca/~gvcormac/cormacksigir09-rrf.pdf."""

from collections.abc import Sequence

from aicd_brain.retrieval.values import Hit

K = 60
"""The constant of the paper: how little the first place counts more than the second."""


def fuse(rankings: Sequence[Sequence[Hit]], limit: int) -> list[Hit]:
    """One ranking of files out of several, best first; of a file, the place in the first ranking that has it."""
    scores: dict[str, float] = {}
    shown: dict[str, Hit] = {}
    for ranking in rankings:
        for place, hit in enumerate(ranking, 1):
            scores[hit.path] = scores.get(hit.path, 0.0) + 1 / (K + place)
            shown.setdefault(hit.path, hit)
    return [shown[path] for path in sorted(scores, key=lambda path: (-scores[path], path))][:limit]


def first_of_each_file(hits: Sequence[Hit]) -> list[Hit]:
    """The best place of each file, in the same order."""
    return list({hit.path: hit for hit in reversed(hits)}.values())[::-1]
