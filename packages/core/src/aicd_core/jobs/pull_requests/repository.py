"""SQL of pull requests as they are counted: each job has at most one, whatever its rounds."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from aicd_core.db.sessions import ReadSession
from aicd_core.jobs.machine import TERMINAL, JobEvent
from aicd_core.jobs.models import Job, JobEventRow
from aicd_core.tenancy import Tenant, mine


async def count_pull_requests(session: ReadSession, tenant: Tenant, since: datetime) -> int:
    """The jobs that opened their pull request since a moment, and those that are open and may still open theirs."""
    published, before = JobEventRow.event == JobEvent.PUBLISHED, aliased(JobEventRow)
    earlier = select(before.id).where(
        *(mine(before, tenant), before.job_id == JobEventRow.job_id, before.event == JobEvent.PUBLISHED),
        before.version < JobEventRow.version,
    )
    opened = select(func.count()).where(
        mine(JobEventRow, tenant), published, JobEventRow.created_at >= since, ~earlier.exists()
    )
    of_job = select(JobEventRow.id).where(mine(JobEventRow, tenant), JobEventRow.job_id == Job.id, published)
    may_open = select(func.count()).where(mine(Job, tenant), Job.state.not_in(TERMINAL), ~of_job.exists())
    counts = select(opened.scalar_subquery() + may_open.scalar_subquery())
    return int((await session.execute(counts)).scalar_one())
