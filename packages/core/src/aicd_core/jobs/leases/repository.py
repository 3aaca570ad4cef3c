"""SQL of admission and leases, as the system role, which sees all tenants' jobs."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Boolean, Executable, Float, Integer, String, Uuid, bindparam, text

from aicd_core.db.calls import Call, Prepared
from aicd_core.db.sessions import SystemCourier, SystemSession
from aicd_core.ids import JobId, OrgId
from aicd_core.jobs.leases.values import Demand, Due, Renewal, Taken, Terms
from aicd_core.jobs.machine import AT_WORK, JobState, JobStatus
from aicd_core.jobs.models import sql_list
from aicd_core.jobs.repository import CHANNEL
from aicd_core.jobs.values import JobView
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.models import PlanApproval
from aicd_core.tenancy.organizations.values import SettingsValues

_AT_WORK = sql_list(AT_WORK)
_FREE = "(j.lease_owner IS NULL OR j.lease_until <= now() OR j.lease_owner = ANY(:dead))"
COUNTS = ("round", "plan_attempts", "failures", "feedback_rounds", "first_round")
_JOB_COLUMNS = (
    *("id", "org_id", "repository_id", "state", "paused_from", "version", *COUNTS),
    *("agent", "title", "body", "base_branch", "base_sha", "code", "reason", "seconds_worked", "time_limit"),
    *("lease_owner", "lease_until", "priority", "not_before", "cost_limit", "issue_number"),
    *("created_at", "updated_at", "traceparent"),
)

_LOCK = Prepared(lambda _: text("SELECT pg_advisory_xact_lock(:key)").bindparams(bindparam("key", type_=BigInteger())))
_LOCK_KEY = 0x61696364_0001
"""Key of the advisory lock under which jobs are given out: `aicd`, 1."""


_TENANTS = f"""
    tenants AS (
        (SELECT org_id FROM jobs WHERE state IN ({_AT_WORK}) ORDER BY org_id LIMIT 1)
        UNION ALL
        SELECT (
            SELECT j.org_id FROM jobs j WHERE j.state IN ({_AT_WORK}) AND j.org_id > t.org_id ORDER BY j.org_id LIMIT 1
        ) FROM tenants t WHERE t.org_id IS NOT NULL
    )"""
"""Steps through the index from one organization with open work to the next, so finished jobs cost nothing."""

_ROOM = f"""
    held AS (
        SELECT j.org_id, count(*) AS jobs FROM jobs j WHERE j.lease_owner IS NOT NULL AND NOT {_FREE} GROUP BY j.org_id
    ), room AS (
        SELECT o.id AS org_id, coalesce(h.jobs, 0) AS held, s.plan_approval,
            greatest(coalesce(s.max_concurrent_jobs, :default_limit) - coalesce(h.jobs, 0), 0) AS free
        FROM tenants t
        CROSS JOIN LATERAL (SELECT id FROM organizations WHERE id = t.org_id AND deleted_at IS NULL LIMIT 1) o
        LEFT JOIN LATERAL (SELECT code FROM standings WHERE org_id = t.org_id LIMIT 1) n ON true
        LEFT JOIN LATERAL (SELECT * FROM organization_settings WHERE org_id = t.org_id LIMIT 1) s ON true
        LEFT JOIN held h ON h.org_id = o.id
        WHERE n.code IS NULL
    )"""
"""How many jobs each of them has at work, and how many more it may have; those that stand still are left out.
LATERAL with LIMIT has each looked up by its key, however many organizations there are."""

_CHOSEN = f"""
    chosen AS (
        SELECT room.org_id, c.id, c.state, room.plan_approval,
            row_number() OVER (ORDER BY room.held + c.place, c.id) AS nth
        FROM room CROSS JOIN LATERAL (
            SELECT j.id, j.state, row_number() OVER (ORDER BY j.state = 'queued', j.priority DESC, j.id) AS place
            FROM jobs j
            WHERE j.org_id = room.org_id AND j.state IN ({_AT_WORK}) AND {_FREE}
                AND (:only IS NULL AND (j.not_before IS NULL OR j.not_before <= now()) OR j.id = :only)
                AND (j.state <> 'queued' OR (
                    SELECT r.enabled AND r.disconnected_at IS NULL FROM repositories r
                    WHERE r.org_id = j.org_id AND r.id = j.repository_id
                ))
            ORDER BY j.state = 'queued', j.priority DESC, j.id
            LIMIT least(room.free, :wanted)
        ) c
        ORDER BY room.held + c.place, c.id
        LIMIT :wanted
    )"""
"""A job's place is the number of jobs that its organization would then have at work; the lowest places come first,
whatever the length of anybody's queue. What was begun goes before what is queued, then counts priority, then age."""

_TAKEN = f"""
    taken AS (
        UPDATE jobs j SET
            lease_owner = (CAST(:owners AS text[]))[c.nth],
            lease_until = now() + make_interval(secs => :seconds),
            state = CASE j.state WHEN 'queued' THEN 'planning' ELSE j.state END,
            version = j.version + CASE j.state WHEN 'queued' THEN 1 ELSE 0 END,
            failures = CASE j.state WHEN 'queued' THEN 0 ELSE j.failures END,
            updated_at = CASE j.state WHEN 'queued' THEN now() ELSE j.updated_at END
        FROM chosen c
        -- Once more, for a job that somebody else changed since this statement began.
        WHERE j.org_id = c.org_id AND j.id = c.id AND j.state = c.state AND {_FREE}
        RETURNING j.*, c.state AS was, c.plan_approval
    ), logged AS (
        INSERT INTO job_events (org_id, job_id, version, event, state, detail)
        SELECT org_id, id, version, 'admitted', state, '{{}}' FROM taken WHERE was = 'queued'
    )"""

_GIVEN = f"""
    SELECT {", ".join(f"taken.{name}" for name in _JOB_COLUMNS)},
        (SELECT r.source FROM repositories r WHERE r.org_id = taken.org_id AND r.id = taken.repository_id),
        taken.plan_approval,
        taken.cost_limit IS NOT NULL OR EXISTS (
            SELECT FROM organization_settings s WHERE s.org_id = taken.org_id
                AND coalesce(s.issue_budget, s.repository_budget, s.monthly_budget) IS NOT NULL
        ) OR EXISTS (
            SELECT FROM repositories r WHERE r.org_id = taken.org_id AND r.id = taken.repository_id
                AND coalesce(r.issue_budget, r.monthly_budget) IS NOT NULL
        ),
        CASE taken.was WHEN 'queued'
            THEN pg_notify(:channel, concat_ws(' ', taken.org_id, taken.id, taken.version)) END
    FROM taken"""


def _take(_: Tenant) -> Executable:
    return text(f"WITH RECURSIVE {_TENANTS}, {_ROOM}, {_CHOSEN}, {_TAKEN} {_GIVEN}").bindparams(
        bindparam("owners", type_=ARRAY(String())),
        bindparam("dead", type_=ARRAY(String())),
        bindparam("wanted", type_=Integer()),
        bindparam("default_limit", type_=Integer()),
        bindparam("seconds", type_=Float()),
        bindparam("only", type_=Uuid()),
        bindparam("channel", type_=String()),
    )


_TAKE = Prepared(_take)


async def take(session: SystemSession | SystemCourier, demand: Demand) -> list[Taken]:
    """Takes the leases of ready jobs, fairly.

    One admitter at a time: the lock, then one statement, which sees what the one before committed. So no organization's
    limit is ever exceeded.
    """
    values = {
        "owners": list(demand.owners),
        "wanted": len(demand.owners),
        "seconds": demand.seconds,
        "only": demand.only,
        "dead": list(demand.dead),
        "default_limit": SettingsValues().max_concurrent_jobs,
        "channel": CHANNEL,
    }
    rows = await session.call(Call(_LOCK, {"key": _LOCK_KEY}), Call(_TAKE, values))
    return [_taken(row) for row in rows]


def _taken(row: Sequence[Any]) -> Taken:
    values = dict(zip(_JOB_COLUMNS, row[: len(_JOB_COLUMNS)], strict=True))
    left = values.pop("paused_from")
    status = JobStatus(
        state=JobState(values.pop("state")),
        paused_from=JobState(left) if left else None,
        **{name: values.pop(name) for name in COUNTS},
    )
    source, approval, has_budget = row[len(_JOB_COLUMNS) : -1]
    terms = Terms(PlanApproval(approval or SettingsValues().plan_approval), has_budget)
    return Taken(JobView(status=status, **values), source, terms)


_RENEW = Prepared(
    lambda _: text(
        f"""
        UPDATE jobs j SET lease_until = now() + make_interval(secs => :seconds),
            seconds_worked = j.seconds_worked + renewed.worked
        FROM unnest(:job_ids, :owners, :worked) AS renewed (id, owner, worked)
        WHERE j.id = renewed.id AND j.lease_owner = renewed.owner AND j.state IN ({_AT_WORK})
        RETURNING j.lease_owner
        """
    ).bindparams(
        bindparam("job_ids", type_=ARRAY(Uuid())),
        bindparam("owners", type_=ARRAY(String())),
        bindparam("worked", type_=ARRAY(Float())),
        bindparam("seconds", type_=Float()),
    )
)


async def renew(session: SystemSession | SystemCourier, renewals: Sequence[Renewal], seconds: float) -> frozenset[str]:
    """Prolongs leases and books the time worked; returns the owners that still hold theirs."""
    values = {
        "job_ids": [renewal.job_id for renewal in renewals],
        "owners": [renewal.owner for renewal in renewals],
        "worked": [renewal.worked for renewal in renewals],
        "seconds": seconds,
    }
    return frozenset(owner for (owner,) in await session.call(Call(_RENEW, values)))


_RELEASE = Prepared(
    lambda _: text(
        "UPDATE jobs SET lease_owner = NULL, lease_until = NULL, seconds_worked = seconds_worked + :worked "
        "WHERE id = :job_id AND lease_owner = :owner RETURNING id"
    ).bindparams(
        bindparam("worked", type_=Float()), bindparam("job_id", type_=Uuid()), bindparam("owner", type_=String())
    )
)


async def release(session: SystemSession | SystemCourier, back: Renewal) -> None:
    """Gives a lease back, if it is still its owner's, and books the time worked."""
    await session.call(Call(_RELEASE, {"job_id": back.job_id, "owner": back.owner, "worked": back.worked}))


_OWNERS = Prepared(lambda _: text("SELECT DISTINCT lease_owner FROM jobs WHERE lease_owner IS NOT NULL"))


async def list_owners(session: SystemSession | SystemCourier) -> list[str]:
    """Whoever holds a lease, run out or not."""
    return [owner for (owner,) in await session.call(Call(_OWNERS, {}))]


_FREE_DEAD = Prepared(
    lambda _: text(
        "UPDATE jobs SET lease_owner = NULL, lease_until = NULL, woken_at = NULL "
        "WHERE lease_owner = ANY(:owners) RETURNING id"
    ).bindparams(bindparam("owners", type_=ARRAY(String())))
)


async def free_leases(session: SystemSession | SystemCourier, owners: Sequence[str]) -> int:
    """Takes the leases away from owners that are gone; their jobs are due at once. Returns how many there were."""
    return len(await session.call(Call(_FREE_DEAD, {"owners": list(owners)})))


_DUE = Prepared(
    lambda _: text(
        f"""
        WITH due AS (
            SELECT id, org_id FROM jobs j
            WHERE state IN ({_AT_WORK}) AND (lease_owner IS NULL OR lease_until <= now())
                AND (not_before IS NULL OR not_before <= now())
                AND (woken_at IS NULL OR woken_at < now() - make_interval(secs => :after))
            ORDER BY state = 'queued', priority DESC, id
            LIMIT :most
            FOR UPDATE SKIP LOCKED
        )
        UPDATE jobs j SET woken_at = now() FROM due WHERE j.org_id = due.org_id AND j.id = due.id
        RETURNING j.org_id, j.id, concat_ws('-', j.id, j.state, j.version),
            CASE WHEN :wake THEN aicd_wake(j.org_id, j.id, concat_ws('-', j.id, j.state, j.version), 0) END
        """
    ).bindparams(
        bindparam("after", type_=Float()), bindparam("most", type_=Integer()), bindparam("wake", type_=Boolean())
    )
)


async def mark_due(session: SystemSession | SystemCourier, after: float, most: int, *, wake: bool) -> list[Due]:
    """Finds jobs that nobody holds and for which no worker was sent within `after` seconds, and marks them as sent for.

    What was committed and never queued, what a lost queue forgot, and what a dead worker left.

    Args:
        wake: the statement also sends for the workers; for a queue in the same database.
    """
    rows = await session.call(Call(_DUE, {"after": after, "most": most, "wake": wake}))
    return [Due(org_id=row[0], job_id=row[1], key=row[2]) for row in rows]


_TENANTS_OF = Prepared(
    lambda _: text("SELECT org_id, id FROM jobs WHERE id = ANY(:job_ids)").bindparams(
        bindparam("job_ids", type_=ARRAY(Uuid()))
    )
)


async def list_tenants_of(
    session: SystemSession | SystemCourier, job_ids: Sequence[JobId]
) -> list[tuple[OrgId, JobId]]:
    """Organization and id of those of the jobs that exist."""
    rows = await session.call(Call(_TENANTS_OF, {"job_ids": list(job_ids)}))
    return [(OrgId(org_id), JobId(job_id)) for org_id, job_id in rows]
