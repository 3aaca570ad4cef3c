"""The search as planner and coder use it: a map, passages, and vectors where a provider is configured."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from aicd_brain.retrieval.fusion import fuse
from aicd_brain.retrieval.retriever import IndexedSearch
from aicd_brain.retrieval.settings import RetrievalSettings
from aicd_brain.retrieval.values import Hit
from aicd_brain.testing.retrieval import SHOP, Embeddings, MemoryWorkspace, Session, embeddings_server
from aicd_core.errors import UnavailableError

PLAIN = RetrievalSettings(embedding_base_url=None, embedding_model=None, qdrant_url=None)


@pytest.fixture
def workspace() -> MemoryWorkspace:
    return MemoryWorkspace({path: text.encode() for path, text in SHOP.items()} | {"logo.bin": b"\0\1"})


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path / "cache")


@pytest.fixture
def provider() -> Iterator[Embeddings]:
    with embeddings_server() as server:
        yield server


def meaning(provider: Embeddings, **others) -> RetrievalSettings:
    return RetrievalSettings(
        embedding_base_url=provider.url, embedding_model="tiny", embedding_api_key="k", qdrant_url=None, **others
    )


async def test_passages_are_the_first_lines_of_the_best_place_in_each_file(workspace, session):
    found = await IndexedSearch(session, PLAIN).find("the total of the cart is wrong", workspace, 3)
    assert (found[0].path, found[0].first) == ("shop/cart.py", 5)
    assert found[0].text.startswith("    def total(self):")
    assert len({passage.path for passage in found}) == len(found)


async def test_a_map_shows_what_the_issue_is_about_first_and_keeps_to_its_room(workspace, session):
    tree = await IndexedSearch(session, PLAIN).at(workspace)
    whole = await tree.outline("routes do not match", 1000)
    assert whole.startswith("web/router.js\n  1: export class Router {\n    2: matchRoute(path)")
    assert set(SHOP) <= set(whole.split("\n"))
    small = await tree.outline("routes do not match", 40)
    assert len(small) <= 40 * 3
    assert small.endswith("more files]")


async def test_without_a_hint_files_whose_names_others_use_come_first(session):
    files = {"z_used.py": b"def central(): ...\n", "a.py": b"central()\n", "b.py": b"central()\n"}
    tree = await IndexedSearch(session, PLAIN).at(MemoryWorkspace(files))
    assert (await tree.outline("nothing of that", 500)).startswith("z_used.py")


async def test_a_question_asked_again_has_the_same_answer_whatever_was_indexed_meanwhile(workspace, session):
    search = IndexedSearch(session, PLAIN)
    before = await search.find("item price", workspace, 5)
    other = {f"more{n}.py": b"price = item\n" * n for n in range(1, 40)}
    await search.find("price", MemoryWorkspace(workspace.files | other), 5)
    assert await search.find("item price", workspace, 5) == before
    shutil.rmtree(session.cache / "retrieval" / "answers")
    assert {passage.path for passage in await search.find("item price", workspace, 5)} == {one.path for one in before}


async def test_a_cache_that_cannot_be_written_is_an_error_that_names_it(workspace, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UnavailableError, match="file/cache"):
        await IndexedSearch(Session(tmp_path / "file" / "cache"), PLAIN).find("x", workspace, 5)


async def test_a_provider_finds_what_no_word_says(workspace, session, provider):
    assert await IndexedSearch(session, PLAIN).find("delivery costs money", workspace, 5) == []
    found = await IndexedSearch(session, meaning(provider)).find("deliver", workspace, 1)
    assert [passage.path for passage in found] == ["docs/shipping.md"]
    assert provider.keys == {"Bearer k"}


async def test_each_chunk_is_embedded_once_and_paid_on_the_ledger(workspace, session, provider):
    search = IndexedSearch(session, meaning(provider, embedding_batch=2, embedding_price=0.5))
    await search.at(workspace)
    chunks = len(provider.texts)
    assert len(set(provider.texts)) == chunks
    assert session.spent.input_tokens == 10 * chunks
    assert session.spent.cost_micro_usd == 5 * chunks
    await search.at(workspace)
    assert len(provider.texts) == chunks
    workspace.files["new.md"] = b"Something else.\n"
    await search.at(workspace)
    assert provider.texts[chunks:] == ["\nSomething else.\n"]


@pytest.mark.parametrize(
    ("status", "body"), [(500, None), (200, b"<html>"), (200, b'{"data": []}'), (429, None), (404, b"{}")]
)
async def test_a_provider_that_fails_leaves_the_search_by_words_and_says_so(workspace, session, provider, status, body):
    provider.status, provider.body = status, body
    found = await IndexedSearch(session, meaning(provider)).find("parcels", workspace, 5)
    assert [passage.path for passage in found] == ["docs/shipping.md"]
    assert any("by words only" in line for line in session.said)


async def test_a_provider_that_fails_between_two_questions_does_too(workspace, session, provider):
    tree = await IndexedSearch(session, meaning(provider)).at(workspace)
    provider.status = 503
    assert [hit.path for hit in await tree.find("parcels")] == ["docs/shipping.md"]
    assert "503" in session.said[-1]


async def test_a_qdrant_server_that_is_away_leaves_the_search_by_words(workspace, session, provider):
    settings = meaning(provider).model_copy(update={"qdrant_url": "http://127.0.0.1:9"})
    assert await IndexedSearch(session, settings).find("parcels", workspace, 5)
    assert "Qdrant at http://127.0.0.1:9" in session.said[-1]


async def test_damaged_vectors_are_dropped_and_made_anew(workspace, session, provider):
    search = IndexedSearch(session, meaning(provider))
    await search.at(workspace)
    chunks = len(provider.texts)
    (session.cache / "retrieval" / "vectors" / "meta.json").write_text("{broken")
    await search.at(workspace)
    assert "damaged" in session.said[-1]
    await search.at(workspace)
    assert len(provider.texts) == 2 * chunks


@pytest.mark.parametrize("lost", [("vectors", "answers"), ("",)])
async def test_an_index_that_is_lost_is_made_anew_by_the_next_step(workspace, session, provider, lost: tuple[str, ...]):
    search = IndexedSearch(session, meaning(provider))
    before = await search.find("parcels", workspace, 5)
    texts = list(provider.texts)
    for name in lost:
        shutil.rmtree(session.cache / "retrieval" / name)
    assert await search.find("parcels", workspace, 5) == before
    assert sorted(provider.texts) == sorted(2 * texts), "each chunk, and the question, was embedded once more"
    assert await search.find("delivered", workspace, 1) == before[:1]
    assert provider.texts[2 * len(texts) :] == ["delivered"]


async def test_steps_that_run_at_once_share_the_vectors(workspace, session, provider):
    search = IndexedSearch(session, meaning(provider))
    found = await asyncio.gather(*(search.find(f"deliver {n}", workspace, 1) for n in range(4)))
    assert {passages[0].path for passages in found} == {"docs/shipping.md"}


async def test_each_cache_folder_has_an_index_and_vectors_of_its_own(workspace, session, provider, tmp_path: Path):
    await IndexedSearch(session, meaning(provider)).at(workspace)
    chunks = len(provider.texts)
    other = Session(tmp_path / "other")
    await IndexedSearch(other, meaning(provider)).at(workspace)
    assert len(provider.texts) == 2 * chunks
    shutil.rmtree(session.cache)
    found = await IndexedSearch(other, meaning(provider)).find("parcels", workspace, 1)
    assert ([passage.path for passage in found], len(provider.texts)) == (["docs/shipping.md"], 2 * chunks + 1)


def test_files_high_in_both_rankings_come_before_those_high_in_one():
    def ranking(*paths: str) -> list[Hit]:
        return [Hit(path, 1, 1, "") for path in paths]

    fused = fuse([ranking("a", "b", "c"), ranking("d", "b", "e")], 3)
    assert fused[0].path == "b"
    assert {hit.path for hit in fused[1:]} == {"a", "d"}
