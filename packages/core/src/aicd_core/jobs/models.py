"""Tables of jobs, their events and their stored sub-results."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from aicd_core.db.base import Base
from aicd_core.db.columns import Created, TenantOwned, words
from aicd_core.ids import JobId, RepositoryId, new_uuid
from aicd_core.jobs.log.values import LogKind
from aicd_core.jobs.machine import AT_WORK, TERMINAL, JobEvent, JobState


def sql_list(states: frozenset[JobState]) -> str:
    """The states as they stand in a SQL list; always in the same order, as in the conditions of indexes."""
    return ", ".join(f"'{state.value}'" for state in sorted(states))


ONE_OPEN = "uq_jobs_open_issue"
"""The unique index by which an issue has one open job."""
PULL_OPEN = f"state = '{JobState.PR_OPEN.value}'"
"""The condition of indexes of jobs that wait for what is said about their pull request."""


class ArtifactKind(StrEnum):
    """The sub-results of a job, each stored once per round (plans: per attempt)."""

    CONFIG = "config"
    PLAN = "plan"
    CHANGE = "change"
    TEST_REPORT = "test_report"
    POLICY_REPORT = "policy_report"
    REVIEW = "review"
    EVIDENCE = "evidence"
    TEST_LOGS = "test_logs"
    PULL_REQUEST = "pull_request"
    FEEDBACK = "feedback"


class Job(TenantOwned, Base):
    """One issue on its way to a pull request. Times are in seconds, money in micro-USD.

    Work on it is done by the holder of its lease: `lease_owner`, until `lease_until`. While nobody holds it, it is not
    taken up before `not_before`; among jobs that are ready, a higher `priority` goes first. `woken_at` says when a
    worker was last sent for it. It pauses when `cost_limit` is reached; None is no limit of its own.

    `look_at`: what is said about its pull request is to be looked at then; None while there is no reason to.

    `version` grows by one with every transition and is the fencing token: whoever holds an older one can
    write nothing. `issue_key` says which issue this is; at most one open job of a repository has it. `issue_number` is
    the issue's number on its code host, if it has one there. `asks_approval`: a person approves this job's plan,
    whatever repository and organization say. `paused_from` is the state that a paused job left, and
    one that was stopped, which has ended and can be taken up again. `note` is what people were answered last, in
    Markdown. `traceparent` is the span that took the job in (W3C Trace Context), where that is traced: all work on
    the job is of its trace.
    """

    __tablename__ = "jobs"

    id: Mapped[JobId] = mapped_column(primary_key=True, default=new_uuid)
    repository_id: Mapped[RepositoryId]
    state: Mapped[JobState] = mapped_column(words(JobState, "state"))
    version: Mapped[int] = mapped_column(default=0)
    round: Mapped[int] = mapped_column(default=0)
    plan_attempts: Mapped[int] = mapped_column(default=0)
    paused_from: Mapped[JobState | None] = mapped_column(words(JobState, "paused_from"))
    agent: Mapped[str]
    title: Mapped[str]
    body: Mapped[str]
    issue_key: Mapped[str]
    issue_number: Mapped[int | None]
    base_branch: Mapped[str]
    base_sha: Mapped[str]
    code: Mapped[str | None]
    reason: Mapped[str | None]
    seconds_worked: Mapped[float] = mapped_column(default=0.0)
    time_limit: Mapped[float]
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    priority: Mapped[int] = mapped_column(default=0, server_default="0")
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    feedback_rounds: Mapped[int] = mapped_column(default=0, server_default="0")
    first_round: Mapped[int] = mapped_column(default=1, server_default="1")
    not_before: Mapped[datetime | None]
    woken_at: Mapped[datetime | None]
    look_at: Mapped[datetime | None]
    cost_limit: Mapped[int | None] = mapped_column(BigInteger)
    asks_approval: Mapped[bool] = mapped_column(default=False, server_default="false")
    note: Mapped[str | None]
    traceparent: Mapped[str | None]
    created_at: Mapped[Created]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        ForeignKeyConstraint(["org_id", "repository_id"], ["repositories.org_id", "repositories.id"]),
        UniqueConstraint("org_id", "id"),
        CheckConstraint(
            "CASE state WHEN 'paused' THEN paused_from IS NOT NULL WHEN 'cancelled' THEN true "
            "ELSE paused_from IS NULL END",
            name="paused_from_when_paused",
        ),
        CheckConstraint("version >= 0 AND round >= 0 AND plan_attempts >= 0 AND failures >= 0", name="counts"),
        CheckConstraint("feedback_rounds >= 0 AND first_round >= 1", name="feedback_counts"),
        CheckConstraint("cost_limit >= 0", name="cost_limit"),
        CheckConstraint("issue_number > 0", name="issue_number"),
        Index(
            ONE_OPEN,
            "org_id",
            "repository_id",
            "issue_key",
            unique=True,
            postgresql_where=text(f"state NOT IN ({sql_list(TERMINAL)})"),
        ),
        Index("ix_jobs_newest", "org_id", text("id DESC")),
        Index("ix_jobs_changed", "org_id", "updated_at", "id"),
        Index("ix_jobs_issue", "org_id", "repository_id", "issue_key", text("id DESC")),
        Index(
            "ix_jobs_at_work",
            *("org_id", text("(state = 'queued')"), text("priority DESC"), "id"),
            postgresql_where=text(f"state IN ({sql_list(AT_WORK)})"),
        ),
        Index("ix_jobs_pull_open", "org_id", "repository_id", postgresql_where=text(PULL_OPEN)),
        Index("ix_jobs_look", "look_at", postgresql_where=text(f"{PULL_OPEN} AND look_at IS NOT NULL")),
        Index("ix_jobs_leased", "org_id", postgresql_where=text("lease_owner IS NOT NULL")),
    )


class JobEventRow(TenantOwned, Base):
    """One thing that happened to a job; rows are only ever appended."""

    __tablename__ = "job_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job_id: Mapped[JobId]
    version: Mapped[int]
    event: Mapped[JobEvent | None] = mapped_column(words(JobEvent, "event"))
    state: Mapped[JobState] = mapped_column(words(JobState, "state"))
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    created_at: Mapped[Created]

    __table_args__ = (
        ForeignKeyConstraint(["org_id", "job_id"], ["jobs.org_id", "jobs.id"]),
        UniqueConstraint("org_id", "job_id", "version"),
        Index("ix_job_events_job", "org_id", "job_id", "id"),
        Index("ix_job_events_published", "org_id", "created_at", postgresql_where=text("event = 'published'")),
    )


class JobLogRow(TenantOwned, Base):
    """One line that watchers of a job were told; rows are only ever appended. Nothing is decided by them.

    `said_at` is by the clock of the machine that worked on the job.
    """

    __tablename__ = "job_log"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job_id: Mapped[JobId]
    said_at: Mapped[datetime]
    kind: Mapped[LogKind] = mapped_column(words(LogKind, "kind"))
    text: Mapped[str]
    outcome: Mapped[str | None]
    seconds: Mapped[float | None]

    __table_args__ = (
        ForeignKeyConstraint(["org_id", "job_id"], ["jobs.org_id", "jobs.id"]),
        Index("ix_job_log_job", "org_id", "job_id", "id"),
    )


class Artifact(TenantOwned, Base):
    """A sub-result of a job: UTF-8 JSON of its contract value. Stored once, never changed."""

    __tablename__ = "artifacts"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job_id: Mapped[JobId]
    kind: Mapped[ArtifactKind] = mapped_column(words(ArtifactKind, "kind"))
    round: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[Created]

    __table_args__ = (
        ForeignKeyConstraint(["org_id", "job_id"], ["jobs.org_id", "jobs.id"]),
        UniqueConstraint("org_id", "job_id", "kind", "round"),
    )
