"""What an agent is lent for one step."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from aicd_core.contracts import Left, Usage
from aicd_core.errors import InvalidInputError
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator.checkpoints import Trail
from aicd_core.orchestrator.journal import StepJournal
from aicd_core.settings import Settings


class StepSession:
    """An `AgentSession` that collects the step's usage until its result is stored.

    Args:
        left: what the step may still use, seen from now.
    """

    def __init__(
        self, emit: Callable[[str], None], journal: StepJournal, cache: Path, left: Callable[[], Left]
    ) -> None:
        self._emit = emit
        self._left = left
        self._trail: Trail | None = None
        self.journal = journal
        self.cache = cache
        self.usage = Usage()
        self._task = asyncio.current_task()

    @property
    def cancelled(self) -> bool:
        """Also True past the step's deadline; readable from a thread that the agent works in."""
        return self._task is not None and (self._task.cancelling() > 0 or self._task.done())

    @property
    def history(self) -> tuple[bytes, ...]:
        return self._trail.history if self._trail else ()

    @property
    def left(self) -> Left:
        return self._left()

    def checkpoint(self, history: bytes, on_taken: Callable[[], None] = lambda: None) -> Awaitable[None]:
        if self._trail is None:
            raise InvalidInputError("Only coding changes the tree and can be kept.", code="no_checkpoint_here")
        return self._trail.add(history, on_taken)

    def follow(self, trail: Trail) -> None:
        """From now on checkpoints go there."""
        self._trail = trail

    def drain(self) -> Usage:
        """What was spent since the last time, to be booked now."""
        spent, self.usage = self.usage, Usage()
        return spent

    def emit(self, message: str) -> None:
        self._emit(message)

    def spend(self, usage: Usage) -> None:
        self.usage += usage


def cache_of(job: JobView, settings: Settings) -> Path:
    """Where agents keep what they can make anew: a folder for each repository of each organization."""
    return settings.resolved_data_dir() / "agents" / str(job.org_id) / str(job.repository_id)
