"""From chunks to files."""

from collections.abc import Iterable

from aicd_brain.retrieval.fusion import fuse
from aicd_brain.retrieval.lexical import FILE, LexicalIndex, Scored
from aicd_brain.retrieval.values import Hit

CHUNKS_PER_FILE = 8
"""So many chunks are looked at for each file that is asked for."""
FILES_LOOKED_AT = 3
"""So many files are looked at as a whole for each that is asked for."""
NEXT_COUNTS = 0.3
"""What a file's second best chunk counts beside its best, and each further one beside the one before."""


def best_files(index: LexicalIndex, query: str, limit: int) -> list[Hit]:
    """The best files, best first: by their best chunks and by all that is in them; the place is the best chunk."""
    by_chunks = [best.hit for best, _ in by_file(index.search(query, limit * CHUNKS_PER_FILE))]
    as_a_whole = [found.hit for found in index.search(query, limit * FILES_LOOKED_AT, FILE)]
    return fuse([by_chunks, as_a_whole], limit)


def by_file(chunks: Iterable[Scored]) -> list[tuple[Scored, float]]:
    """The best chunk of each file and the file's own score; chunks come best first, and so do the files."""
    best: dict[str, Scored] = {}
    sums: dict[str, float] = {}
    weights: dict[str, float] = {}
    for chunk in chunks:
        path = chunk.hit.path
        best.setdefault(path, chunk)
        weight = weights.get(path, 1.0)
        sums[path] = sums.get(path, 0.0) + chunk.score * weight
        weights[path] = weight * NEXT_COUNTS
    return sorted(((chunk, sums[path]) for path, chunk in best.items()), key=lambda one: (-one[1], one[0].hit.path))
