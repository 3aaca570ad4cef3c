"""From rows of tables to values that are detached from the database."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from aicd_core.jobs.machine import JobState, JobStatus
from aicd_core.jobs.models import Job, JobEventRow
from aicd_core.jobs.values import EventView, JobView

JOB_COLUMNS = tuple(Job.__table__.columns)
_NAMES = tuple(column.name for column in JOB_COLUMNS)


def view_of_values(values: Sequence[Any]) -> JobView:
    """The values of JOB_COLUMNS, from a driver that knows no states, only their words."""
    row = SimpleNamespace(**dict(zip(_NAMES, values, strict=True)))
    row.state = JobState(row.state)
    row.paused_from = None if row.paused_from is None else JobState(row.paused_from)
    return view_of(cast("Job", row))


def view_of(row: Job) -> JobView:
    """A row, detached from the database."""
    return JobView(
        id=row.id,
        org_id=row.org_id,
        repository_id=row.repository_id,
        status=JobStatus(
            *(row.state, row.round, row.plan_attempts, row.paused_from, row.failures),
            *(row.feedback_rounds, row.first_round),
        ),
        version=row.version,
        agent=row.agent,
        title=row.title,
        body=row.body,
        base_branch=row.base_branch,
        base_sha=row.base_sha,
        code=row.code,
        reason=row.reason,
        seconds_worked=row.seconds_worked,
        time_limit=row.time_limit,
        lease_owner=row.lease_owner,
        lease_until=row.lease_until,
        priority=row.priority,
        not_before=row.not_before,
        cost_limit=row.cost_limit,
        issue_number=row.issue_number,
        created_at=row.created_at,
        updated_at=row.updated_at,
        asks_approval=row.asks_approval,
        note=row.note,
        traceparent=row.traceparent,
    )


def event_of(row: JobEventRow) -> EventView:
    """One line of a job's history, likewise."""
    return EventView(row.version, row.event, row.state, row.detail, row.created_at)
