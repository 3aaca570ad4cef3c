"""Jobs as the rest of the program sees them: frozen, detached from the database."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aicd_core.ids import JobId, OrgId, RepositoryId
from aicd_core.jobs.machine import JobEvent, JobState, JobStatus


@dataclass(frozen=True)
class NewJob:
    """What it takes to make a job. Sizes are checked by whoever takes the issue in.

    `origin` says on the job's record who asked for it, and by what; `traceparent`, which span takes it in.
    """

    repository_id: RepositoryId
    agent: str
    title: str
    body: str
    base_branch: str
    base_sha: str
    time_limit: float
    priority: int = 0
    cost_limit: int | None = None
    issue_number: int | None = None
    asks_approval: bool = False
    origin: Mapping[str, Any] = field(default_factory=dict)
    traceparent: str | None = None

    @property
    def issue_key(self) -> str:
        """SHA-256 (hex) of what makes two requests the same one.

        That is the issue's number on its code host, whatever is edited; of an issue without one, the text, the base
        branch and the agent.
        """
        if self.issue_number is not None:
            return key_of_number(self.issue_number)
        return _digest(self.agent, self.base_branch, self.title, self.body)


def key_of_number(number: int) -> str:
    """The `issue_key` of an issue that its code host has under a number."""
    return _digest(f"#{number}")


def _digest(*parts: str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


@dataclass(frozen=True)
class JobView:
    """One job as it was when it was read. Times are in seconds, money in micro-USD."""

    id: JobId
    org_id: OrgId
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
    priority: int
    not_before: datetime | None
    cost_limit: int | None
    issue_number: int | None
    created_at: datetime
    updated_at: datetime
    asks_approval: bool = False
    note: str | None = None
    traceparent: str | None = None

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
    """A guarded change of a job: applies only to the version that was read, and for a worker only under its lease.

    `owner` is the worker's name in the lease, None for everybody else, whose change ends the lease. A worker keeps it
    as long as there is work for it (`keep_lease`). `worked` seconds are booked. For `delay` seconds nobody takes the
    job up. `wake`: the same statement sends for a worker, where the queue is in the same database.
    """

    job: JobView
    event: JobEvent
    status: JobStatus
    code: str | None = None
    reason: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    owner: str | None = None
    keep_lease: bool = False
    worked: float = 0.0
    delay: float | None = None
    wake: bool = False

    def whole_detail(self) -> dict[str, Any]:
        """What the event's row tells besides: code and reason where there are any, and the detail."""
        why = {name: text for name in ("code", "reason") if (text := getattr(self, name)) is not None}
        return {**why, **self.detail}
