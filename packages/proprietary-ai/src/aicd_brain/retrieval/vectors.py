"""The index of meanings: vectors in Qdrant, on a server or in a folder."""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import NAMESPACE_OID, uuid5

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ApiException

from aicd_brain.retrieval.embeddings import Vector
from aicd_brain.retrieval.settings import RetrievalSettings
from aicd_brain.retrieval.values import Chunk, Hit, SourceFile

BATCH = 500
"""Points asked for or sent at once."""
TIMEOUT = 30
"""Seconds that a server has for an answer."""

OURS = re.compile("aicd-[0-9a-f]{32}")
"""The names of our collections on a server."""

ResultT = TypeVar("ResultT")


class VectorIndexError(Exception):
    """Qdrant cannot be used now; the message says why. Search goes on by words."""


class VectorIndex:
    """The vectors of one repository by one model. All calls block their thread.

    In a folder, one process at a time may have it open: the caller holds the lock.
    """

    def __init__(self, client: QdrantClient, collection: str) -> None:
        self._client = client
        self._collection = collection

    def unknown(self, files: Sequence[SourceFile]) -> list[SourceFile]:
        """Those files whose vectors are not all there: the first chunk of a file is stored last."""
        if not self._client.collection_exists(self._collection):
            return list(files)
        known: set[str] = set()
        for begin in range(0, len(files), BATCH):
            ids = [point_id(file.key, 0) for file in files[begin : begin + BATCH]]
            found = self._client.retrieve(self._collection, ids, with_payload=False)
            known.update(str(record.id) for record in found)
        return [file for file in files if point_id(file.key, 0) not in known]

    def add(self, file: SourceFile, chunks: Sequence[Chunk], vectors: Sequence[Vector]) -> None:
        """Stores the vectors of all of a file's chunks, at least one."""
        if not self._client.collection_exists(self._collection):
            size = models.VectorParams(size=len(vectors[0]), distance=models.Distance.COSINE)
            self._client.create_collection(self._collection, vectors_config=size)
        points = [
            models.PointStruct(
                id=point_id(file.key, number),
                vector=vector,
                payload={"key": file.key, "first": chunk.first, "last": chunk.last, "name": chunk.name},
            )
            for number, (chunk, vector) in enumerate(zip(chunks, vectors, strict=True))
        ][::-1]
        for begin in range(0, len(points), BATCH):
            self._client.upsert(self._collection, points[begin : begin + BATCH], wait=True)

    def search(self, vector: Vector, tree: Mapping[str, SourceFile], limit: int) -> list[Hit]:
        """The chunks of the tree, by key, that are nearest in meaning, nearest first."""
        if not self._client.collection_exists(self._collection):
            return []
        total, ask = self._client.count(self._collection).count, limit
        while True:
            found = self._client.query_points(self._collection, query=vector, limit=ask, with_payload=True).points
            ranked = sorted(found, key=lambda point: (-point.score, str(point.id)))
            here = [payload for point in ranked if (payload := point.payload or {}).get("key") in tree]
            if len(here) >= limit or ask >= total:
                return [_hit(payload, tree) for payload in here[:limit]]
            ask = min(total, ask * 4)


def _hit(payload: Mapping[str, object], tree: Mapping[str, SourceFile]) -> Hit:
    path = tree[str(payload["key"])].path
    return Hit(path, int(str(payload["first"])), int(str(payload["last"])), str(payload["name"]))


def point_id(key: str, number: int) -> str:
    """The id of a file's chunk, by its place in the file."""
    return str(uuid5(NAMESPACE_OID, f"{key}/{number}"))


@contextmanager
def open_vectors(settings: RetrievalSettings, cache: Path) -> Iterator[VectorIndex]:
    """The vectors that belong to a cache folder: in it, or in a collection of their own on the server.

    Raises:
        VectorIndexError: the server cannot be used, or what the folder holds is damaged and was dropped.
    """
    named = hashlib.sha256(f"{cache}\0{settings.embedding_base_url}\0{settings.embedding_model}".encode()).hexdigest()
    folder = cache / "vectors"
    client = _trying(lambda: _connect(settings, folder), settings, folder)
    try:
        yield VectorIndex(client, f"aicd-{named[:32]}")
    except Exception as error:
        raise _told(error, settings, folder) from error
    finally:
        client.close()


def _connect(settings: RetrievalSettings, folder: Path) -> QdrantClient:
    if settings.qdrant_url is None:
        return QdrantClient(path=str(folder))
    key = settings.qdrant_api_key
    secret = key.get_secret_value() if key else None
    return QdrantClient(url=settings.qdrant_url, api_key=secret, timeout=TIMEOUT, check_compatibility=False)


def _trying(make: Callable[[], ResultT], settings: RetrievalSettings, folder: Path) -> ResultT:
    try:
        return make()
    except Exception as error:
        raise _told(error, settings, folder) from error


def _told(error: Exception, settings: RetrievalSettings, folder: Path) -> VectorIndexError:
    """What went wrong, in a sentence. A folder that cannot be read is dropped: the next step makes it anew."""
    if settings.qdrant_url is not None or isinstance(error, ApiException):
        return VectorIndexError(f"Qdrant at {settings.qdrant_url} cannot be used: {type(error).__name__}.")
    shutil.rmtree(folder, ignore_errors=True)
    return VectorIndexError(f"The vectors in {folder} were damaged and are dropped: {type(error).__name__}.")
