"""The vectors on a Qdrant server, as a store of backups: a snapshot of each collection of ours, of one node.

https://qdrant.tech/documentation/concepts/snapshots/
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import httpx2
from qdrant_client import AsyncQdrantClient
from qdrant_client.http.exceptions import ApiException

from aicd_brain.retrieval.settings import RetrievalSettings
from aicd_brain.retrieval.vectors import OURS
from aicd_core.errors import AicdError, UnavailableError

TIMEOUT = 600
"""Seconds that the server has for a snapshot, or for taking one back."""
SNAPSHOT = ".snapshot"


class QdrantStore:
    """A `Store` of `aicd_core.backups.stores`.

    Args:
        settings: with the URL of a server.
    """

    comes_by_itself = False

    def __init__(self, settings: RetrievalSettings) -> None:
        assert settings.qdrant_url is not None, "only where there is a server"
        self._url = settings.qdrant_url
        key = settings.qdrant_api_key
        self._key = key.get_secret_value() if key else None

    async def save(self, into: Path) -> Mapping[str, int]:
        async with self._connected() as client:
            names = await _collections(client)
            for name in names:
                made = await client.create_snapshot(name, wait=True)
                if made is None:
                    raise UnavailableError(f"Qdrant made no snapshot of {name}.", code="qdrant_unavailable")
                try:
                    found = await self._download(name, made.name, into / f"{name}{SNAPSHOT}")
                finally:
                    with suppress(ApiException):  # one that stays costs the server's disk only
                        await client.delete_snapshot(name, made.name, wait=True)
                if made.checksum not in (None, found):
                    raise UnavailableError(f"The snapshot of {name} did not arrive as Qdrant made it.", code="qdrant")
        return {"collections": len(names)}

    async def is_used(self) -> bool:
        async with self._connected() as client:
            return bool(await _collections(client))

    async def clear(self) -> None:
        async with self._connected() as client:
            for name in await _collections(client):
                await client.delete_collection(name)

    async def lay(self, source: Path) -> None:
        async with self._connected() as client:
            for path in await asyncio.to_thread(_snapshots, source):
                with path.open("rb") as file:
                    checksum = hashlib.file_digest(file, "sha256").hexdigest()
                    file.seek(0)
                    await client.http.snapshots_api.recover_from_uploaded_snapshot(
                        path.name.removesuffix(SNAPSHOT), wait=True, checksum=checksum, snapshot=file
                    )

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncQdrantClient]:
        client = AsyncQdrantClient(url=self._url, api_key=self._key, timeout=TIMEOUT, check_compatibility=False)
        try:
            yield client
        except AicdError:
            raise
        except (ApiException, httpx2.HTTPError) as error:
            raise UnavailableError(
                f"Qdrant at {self._url} refuses, or is away ({type(error).__name__}): {error} Start it, or mend "
                "AICD_QDRANT_URL and AICD_QDRANT_API_KEY.",
                code="qdrant_unavailable",
            ) from error
        finally:
            await client.close()

    async def _download(self, collection: str, snapshot: str, target: Path) -> str:
        """Writes a snapshot into a file; its SHA-256. The SDK would hold all of it in memory."""
        place = f"{self._url.rstrip('/')}/collections/{collection}/snapshots/{quote(snapshot, safe='')}"
        headers = {"api-key": self._key} if self._key else {}
        digest = hashlib.sha256()
        async with (
            httpx2.AsyncClient(timeout=TIMEOUT, headers=headers) as client,
            client.stream("GET", place) as answer,
        ):
            answer.raise_for_status()
            with target.open("wb") as file:
                async for piece in answer.aiter_bytes():
                    digest.update(piece)
                    file.write(piece)
        return digest.hexdigest()


def _snapshots(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SNAPSHOT}"))


async def _collections(client: AsyncQdrantClient) -> list[str]:
    found = (await client.get_collections()).collections
    return sorted(one.name for one in found if OURS.fullmatch(one.name))
