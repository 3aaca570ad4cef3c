"""What a watcher of a job is told while it runs. Losing any of it loses nothing: the truth is in the database."""

from collections.abc import Callable
from dataclasses import dataclass

from aicd_core.ids import JobId
from aicd_core.jobs.machine import JobState


@dataclass(frozen=True)
class StateChanged:
    """The job is now in `state`; `round` is 0 before coding."""

    job_id: JobId
    state: JobState
    round: int
    reason: str | None = None


@dataclass(frozen=True)
class Message:
    """One line from the platform or the agent."""

    job_id: JobId
    text: str


@dataclass(frozen=True)
class CommandStarted:
    job_id: JobId
    command: str


@dataclass(frozen=True)
class CommandEnded:
    """`outcome` in a few words; `duration` in seconds."""

    job_id: JobId
    command: str
    outcome: str
    duration: float


Progress = StateChanged | Message | CommandStarted | CommandEnded
Observer = Callable[[Progress], None]
"""Called from the event loop; must be quick and must not raise."""
