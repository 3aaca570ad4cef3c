"""SQL of looks at pull requests. Asking for one is a tenant's; taking what is due sees all tenants' jobs."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, DateTime, Executable, Float, Integer, Uuid, bindparam, func, text, update

from aicd_core.db.calls import Call, Prepared
from aicd_core.db.sessions import SystemCourier, SystemSession, WriteSession
from aicd_core.ids import JobId, OrgId, RepositoryId
from aicd_core.jobs.looks.values import Look
from aicd_core.jobs.machine import TERMINAL, JobState
from aicd_core.jobs.models import Job
from aicd_core.tenancy import Tenant, mine


def _soon(seconds: float) -> ColumnElement[object]:
    """So many seconds from now, or when a look is due already, if that is sooner."""
    return func.least(Job.look_at, func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds))


async def ask_for_look(session: WriteSession, tenant: Tenant, job_id: JobId, seconds: float) -> bool:
    """Has the job's pull request looked at in so many seconds, or as soon as the round at work is over.

    Returns:
        False when the tenant has no such job, or it has ended.
    """
    asked = await session.execute(
        update(Job)
        .where(mine(Job, tenant), Job.id == job_id, Job.state.not_in(TERMINAL))
        .values(look_at=_soon(seconds))
        .returning(Job.id)
    )
    return asked.first() is not None


async def ask_for_looks(
    session: WriteSession, tenant: Tenant, repository_id: RepositoryId, branch: str, seconds: float
) -> int:
    """Has every open pull request of a repository that is to be merged into this branch looked at; how many."""
    asked = await session.execute(
        update(Job)
        .where(
            mine(Job, tenant),
            Job.repository_id == repository_id,
            Job.state == JobState.PR_OPEN,
            Job.base_branch == branch,
        )
        .values(look_at=_soon(seconds))
        .returning(Job.id)
    )
    return len(asked.all())


def _take(_: Tenant) -> Executable:
    return text(
        """
        WITH due AS (
            SELECT id, org_id FROM jobs WHERE state = 'pr_open' AND look_at IS NOT NULL AND look_at <= now()
            ORDER BY look_at LIMIT :most FOR UPDATE SKIP LOCKED
        )
        UPDATE jobs j SET look_at = now() + make_interval(secs => :seconds) FROM due
        WHERE j.org_id = due.org_id AND j.id = due.id
        RETURNING j.org_id, j.id, j.look_at
        """
    ).bindparams(bindparam("most", type_=Integer()), bindparam("seconds", type_=Float()))


_TAKE = Prepared(_take)


async def take_looks(session: SystemSession | SystemCourier, most: int, seconds: float) -> Sequence[Look]:
    """Looks that are due, the longest waiting first; whoever takes one and dies leaves it due in so many seconds."""
    rows = await session.call(Call(_TAKE, {"most": most, "seconds": seconds}))
    return [Look(OrgId(row[0]), JobId(row[1]), row[2]) for row in rows]


_END = Prepared(
    lambda _: text("UPDATE jobs SET look_at = NULL WHERE id = :job_id AND look_at = :until RETURNING id").bindparams(
        bindparam("job_id", type_=Uuid()), bindparam("until", type_=DateTime(timezone=True))
    )
)


async def end_look(session: SystemSession | SystemCourier, look: Look) -> None:
    """Notes that a look was had; one that was asked for meanwhile stays due."""
    await session.call(Call(_END, {"job_id": look.job_id, "until": look.taken_until}))
