"""Answers kept on disk, so that a step that is repeated after a crash asks its model exactly the same.

What fits best depends, a little, on what else an index holds; the journal finds a reply only by an equal request.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from uuid import uuid4

from aicd_brain.retrieval.values import Hit

MOST = 2_000
"""Answers kept; when there are more, the older half goes."""


class Answers:
    """The answers to queries about one tree.

    Args:
        folder: made when missing; shared with other trees and processes.
        tree: names the tree, and the way in which it is searched.
    """

    def __init__(self, folder: Path, tree: str) -> None:
        self._folder = folder
        self._tree = tree

    def find(self, query: str, limit: int) -> tuple[Hit, ...] | None:
        """The answer that was given before; None when there is none that can be read."""
        try:
            return tuple(Hit(*fields) for fields in json.loads(self._place(query, limit).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, query: str, limit: int, hits: Sequence[Hit]) -> None:
        """Stores an answer, whole or not at all.

        Raises:
            OSError: the disk refused.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = self._place(query, limit)
        fresh = place.with_suffix(f".{uuid4().hex}")
        fresh.write_text(json.dumps([astuple(hit) for hit in hits]))
        fresh.replace(place)
        self._sweep()

    def _place(self, query: str, limit: int) -> Path:
        name = hashlib.sha256(f"{self._tree}\0{limit}\0{query}".encode("utf-8", "surrogatepass")).hexdigest()
        return self._folder / f"{name}.json"

    def _sweep(self) -> None:
        kept = list(os.scandir(self._folder))
        if len(kept) > MOST:
            for entry in sorted(kept, key=lambda entry: entry.stat().st_mtime)[: len(kept) // 2]:
                Path(entry.path).unlink(missing_ok=True)
