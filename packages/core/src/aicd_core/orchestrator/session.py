"""What an agent is lent for one step."""

import asyncio
from collections.abc import Callable

from aicd_core.contracts import Usage


class StepSession:
    """An `AgentSession` that collects the step's usage until its result is stored."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self.usage = Usage()
        self._task = asyncio.current_task()

    @property
    def cancelled(self) -> bool:
        """Also True past the step's deadline; readable from a thread that the agent works in."""
        return self._task is not None and (self._task.cancelling() > 0 or self._task.done())

    def drain(self) -> Usage:
        """What was spent since the last time, to be booked now."""
        spent, self.usage = self.usage, Usage()
        return spent

    def emit(self, message: str) -> None:
        self._emit(message)

    def spend(self, usage: Usage) -> None:
        self.usage += usage
