"""The retriever of a step: words always, meaning too where an embedding provider is configured."""

import asyncio
import hashlib
import importlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from aicd_brain.retrieval import outline
from aicd_brain.retrieval.answers import Answers
from aicd_brain.retrieval.fusion import fuse
from aicd_brain.retrieval.lexical import DamagedIndexError, LexicalIndex, update
from aicd_brain.retrieval.locks import locked
from aicd_brain.retrieval.meaning import Meaning, MeaningError, OpenMeaning
from aicd_brain.retrieval.ranking import best_files
from aicd_brain.retrieval.settings import RetrievalSettings
from aicd_brain.retrieval.tree import read_tree
from aicd_brain.retrieval.values import Hit, Passage, SourceFile
from aicd_core.contracts import AgentSession, Workspace
from aicd_core.errors import UnavailableError

VERSION = "1"
"""Another one wherever what is stored, or how it is ranked, changes."""
PATIENCE = 120.0
"""Seconds to wait for another process that indexes the same repository."""
CANDIDATES = 50
"""Files of each ranking that are fused."""
PASSAGE_LINES = 8
PASSAGE_WIDTH = 200
MAP_HITS = 30
"""Files that a map shows first because of the issue."""


class TreeRetriever:
    """Finds code in one tree. The same question finds the same; what it shows was written by strangers."""

    def __init__(self, files: Sequence[SourceFile], place: Path, index: LexicalIndex, meaning: Meaning | None) -> None:
        self._files = files
        self._texts = {file.path: file.text for file in files}
        self._place = place
        self._index = index
        self._meaning = meaning
        tree = hashlib.sha256("".join(file.key for file in files).encode()).hexdigest()
        self._answers = Answers(place / "answers", f"{VERSION}/{meaning.name if meaning else ''}/{tree}")

    async def outline(self, about: str, tokens: int) -> str:
        """A map of the repository, of at most so many tokens by a careful estimate; what fits `about` comes first."""
        hits = await self.find(about, MAP_HITS)
        return await asyncio.to_thread(self._draw, [hit.path for hit in hits], tokens)

    async def find(self, query: str, limit: int = 10) -> tuple[Hit, ...]:
        """The places that fit the words best, one for each file, at most `limit`, the best first."""
        kept = await asyncio.to_thread(self._answers.find, query, limit)
        if kept is not None:
            return kept
        rankings = [await asyncio.to_thread(self._by_words, query, max(limit, CANDIDATES))]
        if self._meaning is not None:
            rankings.append(await self._meaning.find(query, max(limit, CANDIDATES)))
        found = tuple(fuse(rankings, limit))
        await asyncio.to_thread(self._keep, query, limit, found)
        return found

    def passage(self, hit: Hit) -> Passage:
        """The first lines of a place."""
        lines = self._texts[hit.path].split("\n")[hit.first - 1 : min(hit.last, hit.first + PASSAGE_LINES - 1)]
        return Passage(path=hit.path, first=hit.first, text="\n".join(line[:PASSAGE_WIDTH] for line in lines))

    def _by_words(self, query: str, limit: int) -> list[Hit]:
        try:
            return best_files(self._index, query, limit)
        except DamagedIndexError:
            self._index = _indexed(self._place, self._files, anew=True)
            return best_files(self._index, query, limit)

    def _draw(self, hits: Sequence[str], tokens: int) -> str:
        outlines = self._index.outlines()
        return outline.draw(outline.rank(self._files, outlines, hits), outlines, tokens)

    def _keep(self, query: str, limit: int, found: Sequence[Hit]) -> None:
        with _disk(self._place):
            self._answers.keep(query, limit, found)


class IndexedSearch:
    """The planner's `Retriever`, for one step.

    Args:
        session: its cache folder keeps the index; it is told what embeddings cost, and what had to be done without.
        settings: None reads the environment.
    """

    def __init__(self, session: AgentSession, settings: RetrievalSettings | None = None) -> None:
        self._session = session
        self._settings = settings or RetrievalSettings.load()

    async def find(self, question: str, workspace: Workspace, limit: int) -> Sequence[Passage]:
        """At most `limit` passages for the question, one for each file, the best first.

        Raises:
            UnavailableError: the disk refused, or another process held the index for too long.
        """
        tree = await self.at(workspace)
        return [tree.passage(hit) for hit in await tree.find(question, limit)]

    async def at(self, workspace: Workspace) -> TreeRetriever:
        """The retriever for the tree as it is now; what is new in it is indexed. Raises as `find`."""
        place = self._session.cache / "retrieval"
        files = await read_tree(workspace)
        index = await asyncio.to_thread(_indexed, place, files)
        return TreeRetriever(files, place, index, await self._meaning(place, files))

    async def _meaning(self, place: Path, files: Sequence[SourceFile]) -> Meaning | None:
        """The search by meaning with all of the tree in it; None where there is none, or its servers cannot be used."""
        if not self._settings.embeds:
            return None
        # Qdrant's client costs more than all other parts of a start together.
        module = cast("OpenMeaning", importlib.import_module("aicd_brain.retrieval.by_meaning"))
        try:
            return await module.open_meaning(self._settings, place, files, self._session)
        except MeaningError as error:
            self._session.emit(f"Searching by words only. {error}")
            return None


def _indexed(place: Path, files: Sequence[SourceFile], *, anew: bool = False) -> LexicalIndex:
    """The index of words with all of the tree in it; `anew` drops what is there."""
    with locked(place, PATIENCE), _disk(place):
        if anew:
            shutil.rmtree(place / "lexical", ignore_errors=True)
        return update(place / "lexical", files)


@contextmanager
def _disk(place: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, DamagedIndexError) as error:
        raise UnavailableError(
            f"The search index in {place} cannot be written ({error}). Free some space, or remove the folder: it is "
            "made anew.",
            code="retrieval_unwritable",
        ) from error
