"""Finding the code that an issue is about, as the planner asks for it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from aicd_brain.retrieval.values import Passage
from aicd_core.contracts import AgentSession, Workspace


class Retriever(Protocol):
    async def find(self, question: str, workspace: Workspace, limit: int) -> Sequence[Passage]:
        """At most `limit` passages for the question, the best first; the same ones for the same tree and question."""
        ...


OpenRetriever = Callable[[AgentSession], Retriever]
"""Makes the retriever of one step."""
