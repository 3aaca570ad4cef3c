"""What an agent is lent for one step."""

from collections.abc import Callable

from aicd_core.contracts import Usage


class StepSession:
    """An `AgentSession` that collects the step's usage until its result is stored."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self.usage = Usage()
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def cancel(self) -> None:
        """Tells the agent to stop at its next look."""
        self._cancelled = True

    def emit(self, message: str) -> None:
        self._emit(message)

    def spend(self, usage: Usage) -> None:
        self.usage += usage
