"""How far a coding round came, kept so that this or another machine goes on from there."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

from aicd_core.contracts import ChangeSet, Checkout
from aicd_core.errors import InvalidInputError
from aicd_core.journal.values import Checkpoint, Kept
from aicd_core.orchestrator.journal import StepJournal


class Checkpoints(Protocol):
    """Where checkpoints are kept."""

    async def checkpoints(self, number: int) -> Kept: ...

    async def keep_checkpoint(self, new: Checkpoint) -> None: ...


class Trail:
    """The checkpoints of one coding round.

    Args:
        number: the round.
        planned: paths of the plan, kept even where the repository ignores them.
    """

    def __init__(
        self, store: Checkpoints, checkout: Checkout, journal: StepJournal, number: int, planned: Collection[str]
    ) -> None:
        self._store = store
        self._checkout = checkout
        self._journal = journal
        self._number = number
        self._planned = planned
        self._history: list[bytes] = []
        self._one_at_a_time = asyncio.Lock()

    @property
    def history(self) -> tuple[bytes, ...]:
        """What the checkpoints kept of the message history, oldest first."""
        return tuple(self._history)

    async def resume(self, before: ChangeSet | None) -> None:
        """Lays the tree as of the last checkpoint, or, in a fresh round, as the round `before` left it.

        The calls of the model are counted on from there, too: those before it are not made again.
        """
        kept = await self._store.checkpoints(self._number)
        self._history = list(kept.history)
        self._journal.next_number = kept.calls
        await self._checkout.restore(kept.change_set or before)

    def add(self, history: bytes, on_taken: Callable[[], None]) -> Awaitable[None]:
        """Appends a checkpoint: what it costs does not depend on how many there are. `on_taken`: as `capture` has it.

        The calls that come before it are counted at once; whoever goes on from it finds the others in the journal.

        Raises:
            InvalidInputError: a call of the model is under way, whose reply would be lost to whoever goes on from here.
            StepFailedError: the tree cannot be captured.
            LeaseLostError: another worker has the job.
        """
        if self._journal.under_way:
            raise InvalidInputError(
                "A checkpoint was asked for while a call of the model was under way. Make it between two calls.",
                code="call_under_way",
            )
        return self._keep(history, self._journal.next_number, on_taken)

    async def _keep(self, history: bytes, calls: int, on_taken: Callable[[], None]) -> None:
        async with self._one_at_a_time:
            change_set = await self._checkout.capture(self._planned, on_taken)
            await self._store.keep_checkpoint(Checkpoint(self._number, len(self._history), calls, change_set, history))
            self._history.append(history)
