"""Vectors on a Qdrant server are in backups. The server is a stand-in that speaks its REST API to the real SDK."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aicd_brain.retrieval.retriever import IndexedSearch
from aicd_brain.retrieval.settings import RetrievalSettings
from aicd_brain.retrieval.snapshots import QdrantStore
from aicd_brain.retrieval.store import open_store
from aicd_brain.testing.qdrant import KEY, Qdrant, qdrant_server
from aicd_brain.testing.retrieval import SHOP, MemoryWorkspace, Session, embeddings_server
from aicd_core.backups.stores import installed_stores, save_stores
from aicd_core.errors import UnavailableError

pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
"""Of the loopback interface it may be."""


@pytest.fixture
def qdrant() -> Iterator[Qdrant]:
    """A server with somebody else's collection on it."""
    with qdrant_server() as server:
        server.collections["theirs"] = {"config": {}, "points": {}}
        yield server


def settings(url: str, key: str = KEY, **others: object) -> RetrievalSettings:
    return RetrievalSettings(qdrant_url=url, qdrant_api_key=key, **others)


async def test_vectors_that_were_lost_come_back_and_nothing_is_embedded_again(
    qdrant: Qdrant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    workspace = MemoryWorkspace({path: text.encode() for path, text in SHOP.items()})
    with embeddings_server() as provider:
        access = settings(qdrant.url, embedding_base_url=provider.url, embedding_model="tiny", embedding_api_key="k")
        search = IndexedSearch(Session(tmp_path / "cache"), access)
        await search.find("the warehouse", workspace, 3)
        before = {name: collection["points"] for name, collection in qdrant.collections.items()}
        assert sorted(map(bool, before.values())) == [False, True]

        monkeypatch.setenv("AICD_QDRANT_URL", qdrant.url)
        monkeypatch.setenv("AICD_QDRANT_API_KEY", KEY)
        (tmp_path / "kept").mkdir()
        kept, gaps = await save_stores({"qdrant": installed_stores()["qdrant"]}, tmp_path / "kept", str)
        assert (kept["qdrant"].counted, gaps) == ({"collections": 1}, {})
        assert (qdrant.made, qdrant.snapshots) == (1, {}), "none stays on the server"

        store = open_store()
        assert store is not None
        assert await store.is_used()
        await store.clear()
        assert not await store.is_used()
        assert set(qdrant.collections) == {"theirs"}
        embedded = len(provider.texts)
        await store.lay(tmp_path / "kept/qdrant")
        assert {name: collection["points"] for name, collection in qdrant.collections.items()} == before
        found = await search.find("parcels that were delivered", workspace, 1)
        assert found[0].path == "docs/shipping.md"
        assert provider.texts[embedded:] == ["parcels that were delivered"]


async def test_a_snapshot_that_arrives_damaged_is_refused_and_none_stays_on_the_server(qdrant: Qdrant, tmp_path: Path):
    name = f"aicd-{0:032x}"
    qdrant.collections[name] = {"config": {}, "points": {}}
    qdrant.broken = b"!"
    with pytest.raises(UnavailableError, match="did not arrive"):
        await QdrantStore(settings(qdrant.url)).save(tmp_path)
    assert qdrant.snapshots == {}
    (tmp_path / f"{name}.snapshot").unlink()
    qdrant.broken = b""
    store = QdrantStore(settings(qdrant.url))
    assert await store.save(tmp_path) == {"collections": 1}
    await store.clear()
    await store.lay(tmp_path)
    assert await store.is_used()


@pytest.mark.parametrize("wrong", ["url", "key"])
async def test_a_server_that_is_away_or_refuses_the_key_is_a_gap(qdrant: Qdrant, tmp_path: Path, wrong: str):
    access = settings("http://127.0.0.1:9") if wrong == "url" else settings(qdrant.url, "another")
    kept, gaps = await save_stores({"qdrant": lambda: QdrantStore(access)}, tmp_path, str)
    assert kept == {}
    assert "refuses, or is away" in gaps["qdrant"]
    assert KEY not in gaps["qdrant"]
    with pytest.raises(UnavailableError) as caught:
        await QdrantStore(access).is_used()
    assert caught.value.code == "qdrant_unavailable"


def test_without_a_server_there_is_nothing_to_keep(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AICD_QDRANT_URL", raising=False)
    assert open_store() is None
