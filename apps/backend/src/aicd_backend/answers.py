"""How jobs and what they used are answered."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import Field

from aicd_backend.bodies import Answer
from aicd_core.contracts import Usage
from aicd_core.db.pages import cursor_of
from aicd_core.jobs.log.values import LogKind, LogLine
from aicd_core.jobs.machine import JobEvent, JobState
from aicd_core.jobs.values import EventView, JobView


class JobAnswer(Answer):
    """A job: one issue on its way to a pull request. Times at work are in seconds, money in micro-USD."""

    id: UUID
    repository_id: UUID
    state: JobState
    version: int = Field(description="Grows with every change; the id of the newest of its events.")
    round: int = Field(description="Reviews so far, counted from 1; 0 before coding.")
    agent: str = Field(examples=["dummy"])
    title: str
    issue_number: int | None = Field(description="On its code host; null for a text.")
    base_branch: str = Field(examples=["main"])
    base_sha: str
    branch: str = Field(description="The one that the job, and nobody else, pushes.")
    priority: int
    code: str | None = Field(description="Why it is so: a stable name. Null where nothing need be said.")
    reason: str | None = Field(description="The same in a sentence.")
    paused_from: JobState | None = Field(description="What a job that is paused, or was stopped, goes back to.")
    seconds_worked: float
    time_limit_seconds: float
    cost_limit_micro_usd: int | None = Field(description="Null: no limit of its own.")
    asks_approval: bool = Field(description="A person is to approve this job's plan in any case.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, job: JobView) -> Self:
        return cls(
            id=job.id,
            repository_id=job.repository_id,
            state=job.state,
            version=job.version,
            round=job.status.round,
            agent=job.agent,
            title=job.title,
            issue_number=job.issue_number,
            base_branch=job.base_branch,
            base_sha=job.base_sha,
            branch=job.branch,
            priority=job.priority,
            code=job.code,
            reason=job.reason,
            paused_from=job.status.paused_from,
            seconds_worked=round(job.seconds_worked, 3),
            time_limit_seconds=job.time_limit,
            cost_limit_micro_usd=job.cost_limit,
            asks_approval=job.asks_approval,
            created_at=job.created_at,
            updated_at=job.updated_at,
        )


class EventAnswer(Answer):
    """One thing that happened to a job."""

    version: int = Field(description="The job's version by it; later events have higher ones.")
    event: JobEvent | None = Field(description="Null: the job was made.")
    state: JobState = Field(description="The job's state after it.")
    detail: Mapping[str, Any] = Field(description="Code and reason where there are any, and what else belongs to it.")
    created_at: datetime

    @classmethod
    def of(cls, event: EventView) -> Self:
        return cls(**{name: getattr(event, name) for name in cls.model_fields})


class LineAnswer(Answer):
    """A line of a job's log."""

    cursor: str = Field(description="Given as `cursor`, it asks for what comes behind this line, also later on.")
    said_at: datetime = Field(description="By the clock of the machine that worked on the job.")
    kind: LogKind
    text: str = Field(description="What was said, or the command that ended.")
    outcome: str | None = Field(description="How the command ended.")
    seconds: float | None = Field(description="How long it took.")

    @classmethod
    def of(cls, line: LogLine) -> Self:
        return cls(
            cursor=cursor_of(line.number),
            said_at=line.said_at,
            kind=line.kind,
            text=line.text,
            outcome=line.outcome,
            seconds=line.seconds,
        )


class UsageAnswer(Answer):
    """Tokens and what they cost, in micro-USD."""

    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    cost_micro_usd: int

    @classmethod
    def of(cls, usage: Usage) -> Self:
        return cls(**usage.model_dump())
