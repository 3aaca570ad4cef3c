"""SQL of the tests' own looks at a whole database, past every wall."""

import zlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from aicd_core.jobs.machine import JobEvent, JobState, JobStatus


@dataclass(frozen=True)
class JobRow:
    """One job, with how many of each it left. `spent` in micro-USD."""

    id: UUID
    org_id: UUID
    title: str
    body: str
    status: JobStatus
    version: int
    reason: str | None
    lease_owner: str | None
    calls: int
    entries: int
    spent: int
    pull_requests: int


@dataclass(frozen=True)
class EventRow:
    """One line of a job's history."""

    job_id: UUID
    version: int
    event: JobEvent | None
    state: JobState


_JOBS = b"""
    SELECT id, org_id, title, body, state, round, plan_attempts, paused_from, failures, feedback_rounds, first_round,
        version, reason, lease_owner,
        (SELECT count(*) FROM model_calls c WHERE c.org_id = j.org_id AND c.job_id = j.id),
        (SELECT count(*) FROM usage_entries u WHERE u.org_id = j.org_id AND u.job_id = j.id),
        (SELECT coalesce(sum(cost_micro_usd), 0)::bigint
            FROM usage_entries u WHERE u.org_id = j.org_id AND u.job_id = j.id),
        (SELECT count(*) FROM artifacts a
            WHERE a.org_id = j.org_id AND a.job_id = j.id AND a.kind = 'pull_request')
    FROM jobs j ORDER BY id
"""
_EVENTS = b"SELECT job_id, version, event, state FROM job_events ORDER BY id"
_CALLS = b"SELECT count(*) FROM model_calls"
_REPLIES = b"""
    SELECT ARRAY(
        SELECT packed FROM unnest(reply_pieces) WITH ORDINALITY AS piece (sha256, place)
            JOIN journal_contents USING (sha256) WHERE journal_contents.job_id = c.job_id ORDER BY place)
    FROM model_calls c WHERE job_id = %s AND step LIKE 'code/%%' ORDER BY step, number
"""
_OPEN = b"SELECT count(*) FROM jobs WHERE state <> ALL(%s)"


def list_jobs(url: str) -> list[JobRow]:
    """Every job of every organization, oldest first."""
    return [_job(row) for row in _ask(url, _JOBS)]


def list_events(url: str) -> list[EventRow]:
    """Every event of every job, in the order in which they were written."""
    return [
        EventRow(job_id, version, JobEvent(event) if event else None, JobState(state))
        for job_id, version, event, state in _ask(url, _EVENTS)
    ]


def count_calls(url: str) -> int:
    """How many calls there are in the journal."""
    return int(_ask(url, _CALLS)[0][0])


def list_replies(url: str, job_id: UUID) -> list[bytes]:
    """The journal's replies to a job's coding, in the order of their numbers."""
    return [b"".join(map(zlib.decompress, pieces)) for (pieces,) in _ask(url, _REPLIES, job_id)]


def count_not_in(url: str, states: frozenset[JobState]) -> int:
    """How many jobs are in none of the states."""
    return int(_ask(url, _OPEN, [state.value for state in states])[0][0])


def _ask(url: str, query: bytes, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, connect_timeout=5) as connection:
        return connection.execute(query, values).fetchall()


def _job(row: tuple[Any, ...]) -> JobRow:
    job_id, org_id, title, body, state, number, attempts, left, failures, feedback_rounds, first_round, *others = row
    counts = (failures, feedback_rounds, first_round)
    status = JobStatus(JobState(state), number, attempts, JobState(left) if left else None, *counts)
    return JobRow(job_id, org_id, title, body, status, *others)
