"""What an agent does between two actions: look whether to stop, and say what comes next."""

from aicd_core.contracts.agent import AgentSession
from aicd_core.errors import StepFailedError


def watch(session: AgentSession, message: str) -> None:
    """Shows the next action.

    Raises:
        StepFailedError: code `cancelled` once the job is to stop.
    """
    if session.cancelled:
        raise StepFailedError("The job was cancelled before the agent had finished.", code="cancelled")
    session.emit(message)
