"""What the search by meaning offers, for those who must not load its client before it is wanted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from aicd_brain.retrieval.settings import RetrievalSettings
from aicd_brain.retrieval.values import Hit, SourceFile
from aicd_core.contracts import AgentSession


class MeaningError(Exception):
    """The embedding provider or Qdrant cannot be used now; the message says why."""


class Meaning(Protocol):
    """The search by meaning in one tree."""

    @property
    def name(self) -> str:
        """Names the model: another one ranks differently."""
        ...

    async def find(self, query: str, limit: int) -> list[Hit]:
        """The nearest files, nearest first; none when the provider or Qdrant fails, which the session is told."""
        ...


class OpenMeaning(Protocol):
    """What `aicd_brain.retrieval.by_meaning` offers."""

    async def open_meaning(
        self, settings: RetrievalSettings, place: Path, files: Sequence[SourceFile], session: AgentSession
    ) -> Meaning:
        """Embeds what is new in the tree.

        Raises:
            MeaningError: the provider or Qdrant cannot be used; what was embedded until then is kept.
        """
        ...
