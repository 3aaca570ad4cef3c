"""Jobs as the rest of the program sees them: frozen, detached from the database."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aicd_core.ids import JobId, RepositoryId
from aicd_core.jobs.machine import JobEvent, JobState, JobStatus


@dataclass(frozen=True)
class NewJob:
    """What it takes to make a job. Sizes are checked by whoever takes the issue in."""

    repository_id: RepositoryId
    agent: str
    title: str
    body: str
    base_branch: str
    base_sha: str
    time_limit: float

    @property
    def issue_key(self) -> str:
        """SHA-256 (hex) of what makes two requests the same one: the text, the base branch, the agent."""
        digest = hashlib.sha256()
        for part in (self.agent, self.base_branch, self.title, self.body):
            encoded = part.encode()
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return digest.hexdigest()


@dataclass(frozen=True)
class JobView:
    """One job as it was when it was read. `seconds_worked` and `time_limit` are in seconds."""

    id: JobId
    repository_id: RepositoryId
    status: JobStatus
    version: int
    agent: str
    title: str
    body: str
    base_branch: str
    base_sha: str
    code: str | None
    reason: str | None
    seconds_worked: float
    time_limit: float
    lease_owner: str | None
    lease_until: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def state(self) -> JobState:
        return self.status.state

    @property
    def branch(self) -> str:
        """The branch that this job, and no other, pushes."""
        return f"aicd/{self.id}"


@dataclass(frozen=True)
class EventView:
    """One line of a job's history; `event` is None for its making."""

    version: int
    event: JobEvent | None
    state: JobState
    detail: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class Transition:
    """A guarded change of a job: applies only to the version that was read."""

    job: JobView
    event: JobEvent
    status: JobStatus
    code: str | None = None
    reason: str | None = None
