"""SQL about the work of all tenants that is not done. Whatever has ended costs nothing here."""

from sqlalchemy import ColumnElement, func, or_, select

from aicd_core.db.sessions import SystemReadSession
from aicd_core.deliveries.models import Delivery, DeliveryState
from aicd_core.jobs.machine import AT_WORK, TERMINAL, JobState
from aicd_core.jobs.models import Job
from aicd_core.monitoring.values import OpenJobs, Waiting
from aicd_core.tenancy.repositories.models import Repository
from aicd_core.tenancy.standings.models import StandingRow


def _age(since: ColumnElement[object]) -> ColumnElement[float]:
    """Seconds since then; 0 where there is no such time."""
    return func.coalesce(func.extract("epoch", func.now() - since), 0.0)


_STANDS_STILL = select(StandingRow.code).where(StandingRow.org_id == Job.org_id).limit(1).scalar_subquery()
_SWITCHED_ON = (
    select(Repository.enabled & Repository.disconnected_at.is_(None))
    .where(Repository.org_id == Job.org_id, Repository.id == Job.repository_id)
    .limit(1)
    .scalar_subquery()
)
"""LIMIT has each looked up by its key, as in admission."""
_READY = (
    Job.state.in_(AT_WORK)
    & or_(Job.lease_owner.is_(None), Job.lease_until <= func.now())
    & or_(Job.not_before.is_(None), Job.not_before <= func.now())
    # As in admission: these wait for a payment or a switch, and no worker is given them.
    & _STANDS_STILL.is_(None)
    & or_(Job.state != JobState.QUEUED, _SWITCHED_ON)
)
_OPEN_JOBS = (
    select(
        Job.state,
        func.count(),
        func.count().filter(_READY),
        _age(func.min(func.greatest(Job.updated_at, Job.not_before, Job.lease_until)).filter(_READY)),
    )
    .where(Job.state.not_in(TERMINAL))
    .group_by(Job.state)
)
_WAITING = select(func.count(), _age(func.min(Delivery.received_at))).where(Delivery.state == DeliveryState.RECEIVED)


async def count_open_jobs(session: SystemReadSession) -> list[OpenJobs]:
    """The jobs that have not ended, by state; states without any are left out."""
    return [OpenJobs(row[0].value, row[1], row[2], float(row[3])) for row in (await session.execute(_OPEN_JOBS)).all()]


async def count_waiting_deliveries(session: SystemReadSession) -> Waiting:
    """The webhooks that are not handled yet."""
    deliveries, oldest = (await session.execute(_WAITING)).one()
    return Waiting(deliveries, float(oldest))
