"""SQL of logs of jobs: written by whichever process works on them, read by their own organization."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    DateTime,
    Float,
    String,
    Uuid,
    bindparam,
    delete,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.types import TypeEngine

from aicd_core.db.pages import Page, PageRequest, cursor_of
from aicd_core.db.sessions import ReadSession, SystemSession
from aicd_core.ids import JobId
from aicd_core.jobs.log.values import LogLine, NewLine
from aicd_core.jobs.machine import TERMINAL
from aicd_core.jobs.models import Job, JobLogRow
from aicd_core.jobs.repository import CHANNEL
from aicd_core.tenancy import Tenant, mine

_FIELDS: dict[str, TypeEngine[Any]] = {
    "job_id": Uuid(),
    "said_at": DateTime(timezone=True),
    "kind": String(),
    "text": String(),
    "outcome": String(),
    "seconds": Float(),
}
_APPEND = text(
    """
    INSERT INTO job_log (org_id, job_id, said_at, kind, text, outcome, seconds)
    SELECT j.org_id, given.job_id, given.said_at, given.kind, given.text, given.outcome, given.seconds
    FROM unnest(:job_id, :said_at, :kind, :text, :outcome, :seconds)
        WITH ORDINALITY AS given(job_id, said_at, kind, text, outcome, seconds, nth)
    JOIN jobs j ON j.id = given.job_id ORDER BY given.nth FOR KEY SHARE OF j
    """
).bindparams(*(bindparam(name, type_=ARRAY(kind)) for name, kind in _FIELDS.items()))
"""KEY SHARE: of a job that is being erased, a line is left out, and fails none of the others."""


async def append_lines(session: SystemSession, lines: Sequence[NewLine]) -> None:
    """Keeps lines of any jobs, in their order, and wakes who listens; those of jobs that are gone go with them."""
    await session.execute(_APPEND, {name: [getattr(line, name) for line in lines] for name in _FIELDS})
    # The job's own version: workers, who wait for a later one, are not disturbed.
    payload = func.concat_ws(" ", Job.org_id, Job.id, Job.version)
    await session.execute(select(func.pg_notify(CHANNEL, payload)).where(Job.id.in_({line.job_id for line in lines})))


async def list_lines(session: ReadSession, tenant: Tenant, job_id: JobId, page: PageRequest) -> Page[LogLine]:
    """A job's log, oldest first. A cursor made of any line's number goes on behind that line."""
    query = select(JobLogRow).where(mine(JobLogRow, tenant), JobLogRow.job_id == job_id)
    if (after := page.after_number()) is not None:
        query = query.where(JobLogRow.id > literal(after, BigInteger))
    rows = list((await session.execute(query.order_by(JobLogRow.id).limit(page.limit + 1))).scalars())
    shown = rows[: page.limit]
    return Page(tuple(map(_line_of, shown)), cursor_of(shown[-1].id) if len(rows) > page.limit else None)


def _line_of(row: JobLogRow) -> LogLine:
    return LogLine(row.job_id, row.said_at, row.kind, row.text, row.outcome, row.seconds, row.id)


async def delete_lines(session: SystemSession, before: datetime, most: int) -> int:
    """Removes the oldest lines, at most so many, of jobs that ended before a time; returns how many."""
    ended = (Job.org_id == JobLogRow.org_id) & (Job.id == JobLogRow.job_id)
    old = select(JobLogRow.id).join(Job, ended).where(Job.state.in_(TERMINAL), Job.updated_at < before)
    which = JobLogRow.id.in_(old.order_by(JobLogRow.id).limit(most).scalar_subquery())
    return len((await session.execute(delete(JobLogRow).where(which).returning(JobLogRow.id))).all())
