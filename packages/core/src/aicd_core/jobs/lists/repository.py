"""SQL of lists of jobs. Every function sees one tenant's rows only; none commits."""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, select

from aicd_core.db.pages import Page, PageRequest, cursor_of
from aicd_core.db.sessions import ReadSession
from aicd_core.ids import JobId
from aicd_core.jobs.lists.values import JobFilter
from aicd_core.jobs.models import Job
from aicd_core.jobs.rows import view_of
from aicd_core.jobs.values import JobView
from aicd_core.tenancy import Tenant, mine


async def find_jobs(session: ReadSession, tenant: Tenant, page: PageRequest, wanted: JobFilter) -> Page[JobView]:
    """The tenant's jobs that the filter matches. Ids grow with time, so that their order is that of making."""
    query = select(Job).where(mine(Job, tenant), *_conditions(wanted)).limit(page.limit + 1)
    query = query.order_by(Job.id if wanted.oldest_first else Job.id.desc())
    if (after := page.after_uuid()) is not None:
        query = query.where(Job.id > JobId(after) if wanted.oldest_first else Job.id < JobId(after))
    rows = list((await session.execute(query)).scalars())
    shown = rows[: page.limit]
    return Page(tuple(map(view_of, shown)), cursor_of(shown[-1].id) if len(rows) > page.limit else None)


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
