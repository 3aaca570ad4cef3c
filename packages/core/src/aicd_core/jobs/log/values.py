"""Lines of a job's log."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from aicd_core.ids import JobId


class LogKind(StrEnum):
    """What a line tells of."""

    MESSAGE = "message"
    COMMAND = "command"


@dataclass(frozen=True)
class NewLine:
    """A line to be kept.

    Args:
        text: what was said, or the command that ended.
        outcome: how the command ended, in a few words.
        seconds: how long it took.
    """

    job_id: JobId
    said_at: datetime
    kind: LogKind
    text: str
    outcome: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class LogLine(NewLine):
    """A line that is kept. `number` grows along the log, with gaps."""

    number: int = 0
