"""SQL of jobs. Every function sees one tenant's rows only; none commits."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import psycopg
from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    Executable,
    Float,
    Integer,
    String,
    Uuid,
    bindparam,
    case,
    cast,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from aicd_core.db.calls import Call, Prepared
from aicd_core.db.pages import Page, PageRequest, cursor_of
from aicd_core.db.sessions import Courier, ReadSession, WriteSession
from aicd_core.errors import ConflictError
from aicd_core.ids import JobId, RepositoryId, new_uuid
from aicd_core.jobs.machine import TERMINAL, JobState
from aicd_core.jobs.models import ONE_OPEN, Job, JobEventRow
from aicd_core.jobs.rows import JOB_COLUMNS, event_of, view_of, view_of_values
from aicd_core.jobs.values import EventView, JobView, NewJob, Transition
from aicd_core.tenancy import Tenant, mine

PLAIN_FIELDS = ("owner", "keep_lease", "code", "reason", "worked", "delay", "wake")
"""Fields of a transition that the statement takes as they are."""

CHANNEL = "aicd_jobs"
"""NOTIFY channel; the payload is `<org id> <job id> <version>`."""


def _seconds(amount: ColumnElement[float]) -> ColumnElement[object]:
    return func.make_interval(0, 0, 0, 0, 0, 0, amount)


def _new_job(_: Tenant) -> Executable:
    return text(
        """
        WITH made AS (
            INSERT INTO jobs (
                id, org_id, repository_id, state, version, round, plan_attempts, agent, title, body, issue_key,
                issue_number, base_branch, base_sha, seconds_worked, time_limit, priority, cost_limit, woken_at,
                asks_approval, traceparent
            ) VALUES (
                :job_id, :of_tenant, :repository_id, 'queued', 0, 0, 0, :agent, :title, :body, :issue_key,
                :issue_number, :base_branch, :base_sha, 0, :time_limit, :priority, :cost_limit, now(),
                :asks_approval, :traceparent
            )
            ON CONFLICT DO NOTHING
            RETURNING org_id, id
        ), logged AS (
            INSERT INTO job_events (org_id, job_id, version, state, detail)
            SELECT org_id, id, 0, 'queued', CAST(:detail AS jsonb) FROM made
        )
        SELECT made.id, pg_notify(:channel, concat_ws(' ', made.org_id, made.id, 0)),
            CASE WHEN :wake THEN aicd_wake(made.org_id, made.id, concat(made.id, '-queued-0'), 0) END
        FROM made
        """
    ).bindparams(bindparam("of_tenant", type_=Uuid()), bindparam("job_id", type_=Uuid()))


_NEW_JOB = Prepared(_new_job)


async def insert_job(
    session: WriteSession | Courier, tenant: Tenant, new: NewJob, *, wake: bool = False
) -> JobId | None:
    """Makes a queued job, appends the beginning of its history and notifies, in one statement.

    Args:
        wake: the statement also sends for a worker; for a queue in the same database.

    Returns:
        its id; None when an open one for the same issue is there already.
    """
    fields = {**asdict(new), "issue_key": new.issue_key, "job_id": new_uuid()}
    fields["detail"] = json.dumps(fields.pop("origin"))
    made = await session.call(Call.of(_NEW_JOB, tenant, channel=CHANNEL, wake=wake, **fields))
    return JobId(made[0][0]) if made else None


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
    return view_of(row) if row else None


async def find_rival(session: ReadSession, tenant: Tenant, job_id: JobId) -> JobId | None:
    """The open job of the same issue as a job that has ended, if there is one."""
    rival = aliased(Job)
    query = select(rival.id).join_from(
        Job, rival, (rival.repository_id == Job.repository_id) & (rival.issue_key == Job.issue_key)
    )
    return (
        await session.execute(
            query.where(mine(Job, tenant), mine(rival, tenant), Job.id == job_id, rival.state.not_in(TERMINAL))
        )
    ).scalar_one_or_none()


async def find_newest(
    session: ReadSession, tenant: Tenant, repository_id: RepositoryId, issue_key: str
) -> JobView | None:
    """The newest job of this issue, open or not; None when it never had one."""
    query = select(Job).where(mine(Job, tenant), Job.repository_id == repository_id, Job.issue_key == issue_key)
    row = (await session.execute(query.order_by(Job.id.desc()).limit(1))).scalar_one_or_none()
    return view_of(row) if row else None


_JOB = Prepared(
    lambda tenant: select(*JOB_COLUMNS).where(mine(Job, tenant), Job.id == bindparam("job_id", type_=Uuid()))
)


async def get_job(session: ReadSession | Courier, tenant: Tenant, job_id: JobId) -> JobView | None:
    """One job, or None when the tenant has no such job."""
    rows = await session.call(Call.of(_JOB, tenant, job_id=job_id))
    return view_of_values(rows[0]) if rows else None


async def list_jobs(
    session: ReadSession, tenant: Tenant, page: PageRequest, *, state: JobState | None = None
) -> Page[JobView]:
    """The tenant's jobs, newest first: all of them, or those in one state."""
    query = select(Job).where(mine(Job, tenant)).order_by(Job.id.desc()).limit(page.limit + 1)
    if state is not None:
        query = query.where(Job.state == state)
    if (after := page.after_uuid()) is not None:
        query = query.where(Job.id < JobId(after))
    rows = list((await session.execute(query)).scalars())
    shown = rows[: page.limit]
    return Page(tuple(map(view_of, shown)), cursor_of(shown[-1].id) if len(rows) > page.limit else None)


def _moved(tenant: Tenant) -> CTE:
    """The guarded update; no row when the guard does not hold."""
    owner, keep = bindparam("owner", type_=String()), bindparam("keep_lease", type_=Boolean())
    return (
        update(Job)
        .where(
            mine(Job, tenant),
            Job.id == bindparam("job_id", type_=Uuid()),
            Job.state == bindparam("old_state", type_=String()),
            Job.version == bindparam("old_version", type_=Integer()),
            or_(owner.is_(None), Job.lease_owner == owner),
        )
        .values(
            state=bindparam("state", type_=String()),
            version=Job.version + 1,
            round=bindparam("round", type_=Integer()),
            plan_attempts=bindparam("plan_attempts", type_=Integer()),
            failures=bindparam("failures", type_=Integer()),
            feedback_rounds=bindparam("feedback_rounds", type_=Integer()),
            first_round=bindparam("first_round", type_=Integer()),
            paused_from=bindparam("paused_from", type_=String()),
            code=bindparam("code", type_=String()),
            reason=bindparam("reason", type_=String()),
            lease_owner=case((keep, Job.lease_owner)),
            lease_until=case((keep, Job.lease_until)),
            seconds_worked=Job.seconds_worked + bindparam("worked", type_=Float()),
            not_before=func.now() + _seconds(bindparam("delay", type_=Float())),
            woken_at=case((keep, Job.woken_at), else_=func.now()),
            updated_at=func.now(),
        )
        .returning(Job.org_id, Job.id, Job.version)
        .cte("moved")
    )


def _transition(tenant: Tenant) -> Executable:
    """The guarded update, the appended event, the notice and, where it is wanted, the wake, in one statement."""
    moved, state = _moved(tenant), bindparam("state", type_=String())
    columns = ["org_id", "job_id", "version", "event", "state", "detail"]
    event, detail = bindparam("event", type_=String()), cast(bindparam("detail", type_=String()), JSONB)
    row = select(moved.c.org_id, moved.c.id, moved.c.version, event, state, detail)
    logged = insert(JobEventRow).from_select(columns, row).cte("logged")
    payload = func.concat_ws(" ", moved.c.org_id, moved.c.id, moved.c.version)
    key = func.concat_ws("-", moved.c.id, state, moved.c.version)
    milliseconds = cast(func.coalesce(bindparam("delay", type_=Float()), 0.0) * 1000, BigInteger)
    woken = case((bindparam("wake", type_=Boolean()), func.aicd_wake(moved.c.org_id, moved.c.id, key, milliseconds)))
    return select(func.pg_notify(CHANNEL, payload), woken).select_from(moved).add_cte(logged)


_TRANSITION = Prepared(_transition)


async def apply_transition(session: WriteSession | Courier, tenant: Tenant, change: Transition) -> bool:
    """Moves the job, appends the event and notifies, in one statement; False when the guard did not hold.

    The guard: same id, state and version as when the job was read, and for a worker its lease.

    Raises:
        ConflictError: `job_open`: a job that had ended was to go on, and its issue has another one by now.
    """
    job, status = change.job, change.status
    call = Call.of(
        _TRANSITION,
        tenant,
        job_id=job.id,
        old_state=job.state.value,
        old_version=job.version,
        state=status.state.value,
        round=status.round,
        plan_attempts=status.plan_attempts,
        failures=status.failures,
        feedback_rounds=status.feedback_rounds,
        first_round=status.first_round,
        paused_from=status.paused_from.value if status.paused_from else None,
        event=change.event.value,
        detail=json.dumps(change.whole_detail()),
        **{name: getattr(change, name) for name in PLAIN_FIELDS},
    )
    try:
        return bool(await session.call(call))
    except IntegrityError as error:
        if isinstance(error.orig, psycopg.Error) and error.orig.diag.constraint_name == ONE_OPEN:
            told = f"Job {job.id} cannot go on: another job is open for the same issue by now. End that one first."
            raise ConflictError(told, code="job_open") from error
        raise


async def list_events(
    session: ReadSession, tenant: Tenant, job_id: JobId, since: int | None = None
) -> Sequence[EventView]:
    """A job's history, oldest first; `since`: only what came after this version of the job."""
    query = select(JobEventRow).where(mine(JobEventRow, tenant), JobEventRow.job_id == job_id)
    if since is not None:
        query = query.where(JobEventRow.version > since)
    rows = (await session.execute(query.order_by(JobEventRow.version))).scalars()
    return list(map(event_of, rows))


async def raise_limits(
    session: WriteSession, tenant: Tenant, job_id: JobId, time_limit: float | None, cost_limit: int | None
) -> None:
    """Raises a job's limits on seconds at work and on cost; None, or less than there is, changes nothing."""
    await session.execute(
        update(Job)
        .where(mine(Job, tenant), Job.id == job_id)
        .values(
            time_limit=func.greatest(Job.time_limit, time_limit),
            # A job without a limit of its own keeps none.
            cost_limit=case((Job.cost_limit.is_not(None), func.greatest(Job.cost_limit, cost_limit))),
        )
    )


async def set_note(session: WriteSession, tenant: Tenant, job_id: JobId, note: str) -> None:
    """What people are told besides how the job is; it takes the place of the note before."""
    await session.execute(update(Job).where(mine(Job, tenant), Job.id == job_id).values(note=note))


async def ask_approval(session: WriteSession, tenant: Tenant, job_id: JobId, states: Sequence[str]) -> bool:
    """Has a person approve the job's plan; False when the job is in none of these states any more."""
    asked = await session.execute(
        update(Job)
        .where(mine(Job, tenant), Job.id == job_id, Job.state.in_(states))
        .values(asks_approval=True)
        .returning(Job.id)
    )
    return asked.first() is not None
