"""SQL of jobs. Every function sees one tenant's rows only; none commits."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, func, insert, literal, or_, select, type_coerce, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as pg_insert

from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.ids import JobId, RepositoryId, new_uuid
from aicd_core.jobs.machine import TERMINAL, JobState, JobStatus
from aicd_core.jobs.models import Artifact, ArtifactKind, Job, JobEventRow
from aicd_core.jobs.values import EventView, JobView, NewJob, Transition
from aicd_core.tenancy import Tenant, mine

CHANNEL = "aicd_jobs"
"""NOTIFY channel; the payload is `<org id> <job id> <version>`."""


def _seconds(amount: float) -> ColumnElement[object]:
    return func.make_interval(0, 0, 0, 0, 0, 0, amount)


def _view(row: Job) -> JobView:
    return JobView(
        id=row.id,
        repository_id=row.repository_id,
        status=JobStatus(row.state, row.round, row.plan_attempts, row.paused_from),
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
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


async def insert_job(session: WriteSession, tenant: Tenant, new: NewJob) -> JobId | None:
    """Makes a queued job; None when an open one for the same issue is there already."""
    job_id = JobId(new_uuid())
    values = {
        "id": job_id,
        "org_id": tenant.org_id,
        "repository_id": new.repository_id,
        "state": JobState.QUEUED,
        "version": 0,
        "round": 0,
        "plan_attempts": 0,
        "agent": new.agent,
        "title": new.title,
        "body": new.body,
        "issue_key": new.issue_key,
        "base_branch": new.base_branch,
        "base_sha": new.base_sha,
        "seconds_worked": 0.0,
        "time_limit": new.time_limit,
    }
    made = await session.execute(pg_insert(Job).values(values).on_conflict_do_nothing().returning(Job.id))
    if made.scalar_one_or_none() is None:
        return None
    first = {"org_id": tenant.org_id, "job_id": job_id, "version": 0, "state": JobState.QUEUED, "detail": {}}
    await session.execute(insert(JobEventRow).values(first))
    return job_id


async def find_open(
    session: ReadSession, tenant: Tenant, repository_id: RepositoryId, issue_key: str
) -> JobView | None:
    """The open job of this issue, if there is one."""
    query = select(Job).where(
        mine(Job, tenant),
        Job.repository_id == repository_id,
        Job.issue_key == issue_key,
        Job.state.not_in(TERMINAL),
    )
    row = (await session.execute(query)).scalar_one_or_none()
    return _view(row) if row else None


async def get_job(session: ReadSession, tenant: Tenant, job_id: JobId) -> JobView | None:
    """One job, or None when the tenant has no such job."""
    row = (await session.execute(select(Job).where(mine(Job, tenant), Job.id == job_id))).scalar_one_or_none()
    return _view(row) if row else None


async def list_jobs(
    session: ReadSession, tenant: Tenant, *, limit: int, state: JobState | None = None
) -> Sequence[JobView]:
    """The newest jobs first."""
    query = select(Job).where(mine(Job, tenant)).order_by(Job.id.desc()).limit(limit)
    if state is not None:
        query = query.where(Job.state == state)
    return [_view(row) for row in (await session.execute(query)).scalars()]


async def apply_transition(session: WriteSession, tenant: Tenant, change: Transition) -> bool:
    """Moves the job, appends the event and notifies, in one statement; False when the guard did not hold.

    The guard: same id, state and version as when the job was read.
    """
    job, status = change.job, change.status
    moved = (
        update(Job)
        .where(
            mine(Job, tenant),
            Job.id == job.id,
            Job.state == job.state,
            Job.version == job.version,
        )
        .values(
            state=status.state,
            version=Job.version + 1,
            round=status.round,
            plan_attempts=status.plan_attempts,
            paused_from=status.paused_from,
            code=change.code,
            reason=change.reason,
            updated_at=func.now(),
        )
        .returning(Job.org_id, Job.id, Job.version)
        .cte("moved")
    )
    detail = {name: text for name in ("code", "reason") if (text := getattr(change, name)) is not None}
    columns = ["org_id", "job_id", "version", "event", "state", "detail"]
    event = select(
        moved.c.org_id,
        moved.c.id,
        moved.c.version,
        literal(change.event, JobEventRow.event.type),
        literal(status.state, JobEventRow.state.type),
        type_coerce(detail, JSONB),
    )
    logged = insert(JobEventRow).from_select(columns, event).cte("logged")
    payload = func.concat_ws(" ", moved.c.org_id, moved.c.id, moved.c.version)
    done = await session.execute(select(func.pg_notify(CHANNEL, payload)).select_from(moved).add_cte(logged))
    return done.first() is not None


async def list_events(session: ReadSession, tenant: Tenant, job_id: JobId) -> Sequence[EventView]:
    """A job's history, oldest first."""
    query = select(JobEventRow).where(mine(JobEventRow, tenant), JobEventRow.job_id == job_id).order_by(JobEventRow.id)
    rows = (await session.execute(query)).scalars()
    return [EventView(row.version, row.event, row.state, row.detail, row.created_at) for row in rows]


async def claim_lease(
    session: WriteSession, tenant: Tenant, job_id: JobId, owner: str, seconds: float, dead: str | None
) -> bool:
    """Takes the job's lease if it is free, run out, ours already, or held by `dead`, an owner known to be gone."""
    free = or_(
        Job.lease_owner.is_(None),
        Job.lease_until < func.now(),
        Job.lease_owner == owner,
        and_(literal(dead is not None), Job.lease_owner == dead),
    )
    taken = await session.execute(
        update(Job)
        .where(mine(Job, tenant), Job.id == job_id, free)
        .values(lease_owner=owner, lease_until=func.now() + _seconds(seconds))
        .returning(Job.id)
    )
    return taken.first() is not None


async def renew_lease(
    session: WriteSession, tenant: Tenant, job_id: JobId, owner: str, seconds: float, worked: float
) -> bool:
    """Prolongs a lease and books `worked` seconds; False when it was lost or the job has ended."""
    kept = await session.execute(
        update(Job)
        .where(
            mine(Job, tenant),
            Job.id == job_id,
            Job.lease_owner == owner,
            Job.state.not_in(TERMINAL),
        )
        .values(lease_until=func.now() + _seconds(seconds), seconds_worked=Job.seconds_worked + worked)
        .returning(Job.id)
    )
    return kept.first() is not None


async def release_lease(session: WriteSession, tenant: Tenant, job_id: JobId, owner: str, worked: float) -> None:
    """Gives the lease back, if it is still ours, and books `worked` seconds."""
    await session.execute(
        update(Job)
        .where(mine(Job, tenant), Job.id == job_id, Job.lease_owner == owner)
        .values(lease_owner=None, lease_until=None, seconds_worked=Job.seconds_worked + worked)
    )


async def set_time_limit(session: WriteSession, tenant: Tenant, job_id: JobId, seconds: float) -> None:
    """Replaces the job's limit on seconds at work."""
    await session.execute(update(Job).where(mine(Job, tenant), Job.id == job_id).values(time_limit=seconds))


async def store_artifact(
    session: WriteSession,
    tenant: Tenant,
    job_id: JobId,
    owner: str,
    kind: ArtifactKind,
    number: int,
    content: bytes,
) -> None:
    """Keeps a sub-result for the holder of the job's lease; the first one stored for a round stays.

    Somebody who lost the lease stores nothing.
    """
    columns = ["org_id", "job_id", "kind", "round", "content"]
    guarded = select(Job.org_id, Job.id, literal(kind, Artifact.kind.type), literal(number), literal(content)).where(
        mine(Job, tenant), Job.id == job_id, Job.lease_owner == owner
    )
    new = pg_insert(Artifact).from_select(columns, guarded)
    await session.execute(new.on_conflict_do_nothing(index_elements=["org_id", "job_id", "kind", "round"]))


async def get_artifact(
    session: ReadSession, tenant: Tenant, job_id: JobId, kind: ArtifactKind, number: int | None = None
) -> bytes | None:
    """A stored sub-result of one round, or the newest of its kind when no round is named."""
    query = select(Artifact.content).where(mine(Artifact, tenant), Artifact.job_id == job_id, Artifact.kind == kind)
    if number is not None:
        query = query.where(Artifact.round == number)
    newest = query.order_by(Artifact.round.desc()).limit(1)
    return (await session.execute(newest)).scalar_one_or_none()


async def list_artifacts(
    session: ReadSession, tenant: Tenant, job_id: JobId, kind: ArtifactKind
) -> Sequence[tuple[int, bytes]]:
    """All stored sub-results of a kind with their round, oldest first."""
    query = (
        select(Artifact.round, Artifact.content)
        .where(mine(Artifact, tenant), Artifact.job_id == job_id, Artifact.kind == kind)
        .order_by(Artifact.round)
    )
    return [(number, content) for number, content in await session.execute(query)]
