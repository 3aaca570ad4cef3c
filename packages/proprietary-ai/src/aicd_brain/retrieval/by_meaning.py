"""The search by meaning: an embedding provider and Qdrant put together."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from aicd_brain.retrieval.chunks import chunks_of
from aicd_brain.retrieval.embeddings import Embedder, EmbeddingError, Vector
from aicd_brain.retrieval.fusion import first_of_each_file
from aicd_brain.retrieval.locks import locked
from aicd_brain.retrieval.meaning import MeaningError
from aicd_brain.retrieval.settings import RetrievalSettings
from aicd_brain.retrieval.values import Chunk, Hit, SourceFile
from aicd_brain.retrieval.vectors import VectorIndexError, open_vectors
from aicd_core.contracts import AgentSession
from aicd_core.text import number_of

PATIENCE = 120.0
CHUNKS_PER_FILE = 4
"""So many chunks are looked at for each file that is asked for."""

Chunked = tuple[SourceFile, tuple[Chunk, ...]]


class TreeMeaning:
    """A `Meaning` for a tree whose vectors are stored."""

    def __init__(
        self, settings: RetrievalSettings, place: Path, files: Sequence[SourceFile], session: AgentSession
    ) -> None:
        self._settings = settings
        self._place = place
        self._tree = {file.key: file for file in files}
        self._session = session

    @property
    def name(self) -> str:
        return f"{self._settings.embedding_base_url} {self._settings.embedding_model}"

    async def find(self, query: str, limit: int) -> list[Hit]:
        try:
            async with Embedder(self._settings, self._session.spend) as embedder:
                [vector] = await embedder.embed([query])
            return await asyncio.to_thread(self._nearest, vector, limit)
        except (EmbeddingError, VectorIndexError) as error:
            self._session.emit(f"This search went by words only. {error}")
            return []

    def _nearest(self, vector: Vector, limit: int) -> list[Hit]:
        with locked(self._place, PATIENCE), open_vectors(self._settings, self._place) as vectors:
            return first_of_each_file(vectors.search(vector, self._tree, limit * CHUNKS_PER_FILE))[:limit]


async def open_meaning(
    settings: RetrievalSettings, place: Path, files: Sequence[SourceFile], session: AgentSession
) -> TreeMeaning:
    """Embeds the files that have no vectors yet, batch by batch; see `OpenMeaning`."""
    try:
        unknown = await asyncio.to_thread(_unknown, settings, place, files)
        if unknown:
            session.emit(f"Embedding {number_of(len(unknown), 'file')} for the search by meaning")
        async with Embedder(settings, session.spend) as embedder:
            for batch in _batches(unknown, settings.embedding_batch):
                vectors = await _embedded(embedder, [chunk for _, chunks in batch for chunk in chunks], settings)
                await asyncio.to_thread(_store, settings, place, batch, vectors)
    except (EmbeddingError, VectorIndexError) as error:
        raise MeaningError(str(error)) from error
    return TreeMeaning(settings, place, files, session)


async def _embedded(embedder: Embedder, chunks: Sequence[Chunk], settings: RetrievalSettings) -> list[Vector]:
    """A file has more chunks than a request may have texts, now and then."""
    size = settings.embedding_batch
    texts = [f"{chunk.name}\n{chunk.text}" for chunk in chunks]
    return [
        vector for begin in range(0, len(texts), size) for vector in await embedder.embed(texts[begin : begin + size])
    ]


def _batches(files: Sequence[SourceFile], size: int) -> Iterator[list[Chunked]]:
    """Whole files, of about `size` chunks together."""
    batch: list[Chunked] = []
    for file in files:
        batch.append((file, chunks_of(file)))
        if sum(len(chunks) for _, chunks in batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch


def _unknown(settings: RetrievalSettings, place: Path, files: Sequence[SourceFile]) -> list[SourceFile]:
    said = [file for file in files if file.text.strip()]
    with locked(place, PATIENCE), open_vectors(settings, place) as vectors:
        return vectors.unknown(said)


def _store(settings: RetrievalSettings, place: Path, batch: Sequence[Chunked], vectors: Sequence[Vector]) -> None:
    begin = 0
    with locked(place, PATIENCE), open_vectors(settings, place) as index:
        for file, chunks in batch:
            index.add(file, chunks, vectors[begin : begin + len(chunks)])
            begin += len(chunks)
