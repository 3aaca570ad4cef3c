"""SQL of lists of jobs. Every function sees one tenant's rows only; none commits."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Interval,
    Row,
    Select,
    extract,
    func,
    literal,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.orm import InstrumentedAttribute

from aicd_core.db.pages import Page, PageRequest, cursor_of, cursor_of_moment
from aicd_core.db.sessions import ReadSession
from aicd_core.ids import JobId, RepositoryId
from aicd_core.jobs.lists.values import JobFilter, JobOrder, Outcomes
from aicd_core.jobs.machine import JobEvent, JobState
from aicd_core.jobs.models import Job, JobEventRow
from aicd_core.jobs.rows import event_of, view_of
from aicd_core.jobs.values import EventView, JobView
from aicd_core.tenancy import Tenant, mine
from aicd_core.text import require_text

FILTER_MOST = 1_000
"""Characters of a text that jobs are found by."""


async def find_jobs(session: ReadSession, tenant: Tenant, page: PageRequest, wanted: JobFilter) -> Page[JobView]:
    """The tenant's jobs that the filter matches, in the order that it says.

    Raises:
        InvalidInputError: a filter holds what no text in the database can hold, or `bad_cursor`.
    """
    for words in (*wanted.agents, wanted.words or ""):
        require_text(words, "A filter", most=FILTER_MOST)
    query = select(Job).where(mine(Job, tenant), *_conditions(wanted)).limit(page.limit + 1)
    by_change = wanted.order in {JobOrder.LAST_CHANGED, JobOrder.LONGEST_SINCE_CHANGED}
    rows = list((await session.execute((_by_change if by_change else _by_making)(query, page, wanted.order))).scalars())
    shown = rows[: page.limit]
    if len(rows) == len(shown):
        return Page(tuple(map(view_of, shown)), None)
    last = shown[-1]
    return Page(
        tuple(map(view_of, shown)), cursor_of_moment(last.updated_at, last.id) if by_change else cursor_of(last.id)
    )


def _by_making(query: Select[Job], page: PageRequest, order: JobOrder) -> Select[Job]:
    """Ids grow with time, so that their order is that of making."""
    oldest, after = order is JobOrder.OLDEST, page.after_uuid()
    if after is not None:
        query = query.where(Job.id > JobId(after) if oldest else Job.id < JobId(after))
    return query.order_by(Job.id if oldest else Job.id.desc())


def _by_change(query: Select[Job], page: PageRequest, order: JobOrder) -> Select[Job]:
    oldest, key, after = order is JobOrder.LONGEST_SINCE_CHANGED, tuple_(Job.updated_at, Job.id), page.after_moment()
    if after is not None:
        query = query.where(key > after if oldest else key < after)
    return query.order_by(Job.updated_at, Job.id) if oldest else query.order_by(Job.updated_at.desc(), Job.id.desc())


async def find_events(session: ReadSession, tenant: Tenant, job_id: JobId, page: PageRequest) -> Page[EventView]:
    """A job's history, oldest first."""
    query = select(JobEventRow).where(mine(JobEventRow, tenant), JobEventRow.job_id == job_id)
    if (after := page.after_number()) is not None:
        query = query.where(JobEventRow.version > literal(after, BigInteger))  # a cursor may hold any number
    rows = list((await session.execute(query.order_by(JobEventRow.version).limit(page.limit + 1))).scalars())
    shown = rows[: page.limit]
    return Page(tuple(map(event_of, shown)), cursor_of(shown[-1].version) if len(rows) > page.limit else None)


async def count_outcomes(
    session: ReadSession, tenant: Tenant, since: datetime, until: datetime, repository_id: RepositoryId | None = None
) -> Outcomes:
    """What became of the tenant's jobs that were made from `since` on and before `until`; of one repository, or all."""
    query = _outcomes(tenant, since, until, literal(0), repository_id)
    return _counted((await session.execute(query)).one())


async def outcomes_by_span(
    session: ReadSession,
    tenant: Tenant,
    since: datetime,
    until: datetime,
    span: timedelta,
    repository_id: RepositoryId | None = None,
) -> Sequence[tuple[datetime, Outcomes]]:
    """As `count_outcomes`, of each span of time, the oldest first, each with its beginning.

    The last one ends at `until`, so the first may begin before `since`. A span in which no job was made is left out.
    """
    begun = func.date_bin(literal(span, Interval), Job.created_at, literal(until, DateTime(timezone=True)))
    query = _outcomes(tenant, since, until, begun, repository_id).group_by(literal_column("1"))
    rows = await session.execute(query.order_by(literal_column("1")))
    return [(row[0], _counted(row)) for row in rows]


async def outcomes_by_repository(
    session: ReadSession, tenant: Tenant, since: datetime, until: datetime
) -> Sequence[tuple[RepositoryId, Outcomes]]:
    """As `count_outcomes`, of each repository that had a job, those with the most first."""
    query = _outcomes(tenant, since, until, Job.repository_id).group_by(Job.repository_id)
    rows = await session.execute(query.order_by(func.count().desc(), Job.repository_id))
    return [(RepositoryId(row[0]), _counted(row)) for row in rows]


def _outcomes(
    tenant: Tenant,
    since: datetime,
    until: datetime,
    key: ColumnElement[Any] | InstrumentedAttribute[Any],
    repository_id: RepositoryId | None = None,
) -> Select[Any]:
    """The key, and what `_counted` reads."""
    opened = (
        select(JobEventRow.job_id, func.min(JobEventRow.created_at).label("at"))
        .where(mine(JobEventRow, tenant), JobEventRow.event == JobEvent.PUBLISHED, JobEventRow.created_at >= since)
        .group_by(JobEventRow.job_id)
        .subquery()
    )
    took = extract("epoch", opened.c.at - Job.created_at)
    ended = [func.count().filter(Job.state == state) for state in (JobState.MERGED, JobState.CLOSED, JobState.FAILED)]
    of_one = () if repository_id is None else (Job.repository_id == repository_id,)
    return (
        select(key, func.count(), func.count(opened.c.at), *ended, func.percentile_cont(0.5).within_group(took))
        .select_from(Job)
        .outerjoin(opened, opened.c.job_id == Job.id)
        .where(mine(Job, tenant), Job.created_at >= since, Job.created_at < until, *of_one)
    )


def _counted(row: Row[Any]) -> Outcomes:
    _, made, opened, merged, closed, failed, median = tuple[Any, ...](row)
    return Outcomes(made, opened, merged, closed, failed, median)


def _conditions(wanted: JobFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.states:
        yield Job.state.in_(wanted.states)
    if wanted.agents:
        yield Job.agent.in_(wanted.agents)
    if wanted.repository_id is not None:
        yield Job.repository_id == wanted.repository_id
    if wanted.issue_number is not None:
        yield Job.issue_number == wanted.issue_number
    if wanted.words:
        yield Job.title.icontains(wanted.words, autoescape=True)
    if wanted.created_from is not None:
        yield Job.created_at >= wanted.created_from
    if wanted.created_before is not None:
        yield Job.created_at < wanted.created_before
