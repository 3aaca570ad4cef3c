"""The guarded statements of a pipeline over raw psycopg: one round trip each, no queue, no lease, no engine.

They are the product's own, taken from its repository functions by a courier that only writes down what it is given.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from psycopg import AsyncConnection, AsyncRawCursor
from psycopg_pool import AsyncConnectionPool

from aicd_core.db.calls import Call
from aicd_core.db.sessions import Courier, Rows
from aicd_core.ids import JobId, new_uuid
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.machine import JobEvent, JobState, JobStatus, decide
from aicd_core.jobs.values import JobView, NewJob, Transition
from aicd_core.testing.walls import without_application_wall
from race.spec import CONNECTIONS, SHA, org_id, repository_id, tenant

EVENTS = (JobEvent.ADMITTED, JobEvent.PLAN_READY, JobEvent.CODED, JobEvent.PUBLISHED)
"""From QUEUED to PR_OPEN."""
TITLE, BODY = "Title", "Body " * 40
KEY = "SELECT set_config('aicd.org_id', $1, true)"


@dataclass(frozen=True)
class Statement:
    """SQL with the names of its parameters in order, and the values that all jobs share."""

    sql: bytes
    order: Sequence[str]
    shared: dict[str, Any]


class Recorder:
    """A courier's other end that runs nothing, and answers with the rows that it was given."""

    def __init__(self, *rows: tuple[Any, ...]) -> None:
        self.calls: list[Call] = []
        self._rows = rows

    async def run(self, calls: Sequence[Call]) -> Rows:
        self.calls.extend(calls)
        return self._rows


@dataclass(frozen=True)
class Pipeline:
    """Statements of one job's life, run on whichever connection is free.

    Args:
        walls: each statement travels with the tenant's key, in one pipelined round trip.
    """

    pool: AsyncConnectionPool[AsyncConnection[Any]]
    make: Statement
    moves: tuple[Statement, ...]
    walls: bool

    @classmethod
    async def open(cls, url: str, *, walls: bool, connections: int = CONNECTIONS) -> Self:
        """Connects as the role of the URL.

        Args:
            walls: with both walls between tenants; without them the URL must be the superuser's.
        """
        with nullcontext() if walls else without_application_wall():
            make, *moves = await _recorded()
        pool = AsyncConnectionPool(
            url, min_size=connections, open=False, kwargs={"autocommit": True, "cursor_factory": AsyncRawCursor}
        )
        await pool.open(wait=True)
        return cls(pool, make, tuple(moves), walls)

    async def begin(self, number: int) -> UUID:
        """Makes the nth job; returns its id."""
        job_id = new_uuid()
        varying = {"job_id": job_id, "issue_key": f"{job_id.int:064x}", "repository_id": repository_id(number)}
        await self._run(number, self.make, varying)
        return job_id

    async def move(self, number: int, job_id: UUID | str, step: int) -> None:
        """Makes the job's transition number `step`."""
        if not await self._run(number, self.moves[step], {"job_id": job_id}):
            raise RuntimeError(f"job {job_id} refused step {step}")

    async def close(self) -> None:
        await self.pool.close()

    async def _run(self, number: int, statement: Statement, varying: dict[str, Any]) -> list[Any]:
        organization = org_id(number)
        named = {**statement.shared, "of_tenant": organization, **varying}
        values = [named[name] for name in statement.order]
        async with self.pool.connection() as connection:
            if not self.walls:
                cursor = await connection.execute(statement.sql, values, prepare=True)
                return await cursor.fetchall()
            async with connection.pipeline():
                await connection.execute(KEY, (str(organization),), prepare=True)
                cursor = await connection.execute(statement.sql, values, prepare=True)
            return await cursor.fetchall()


async def _recorded() -> list[Statement]:
    """The making of a job and its transitions, in order."""
    recorder = Recorder((new_uuid(),))
    courier = Courier(recorder.run)
    await jobs.insert_job(courier, tenant(0), NewJob(repository_id(0), "dummy", TITLE, BODY, "main", SHA, 3600.0))
    job = _queued()
    for event in EVENTS:
        status = decide(job.status, event)
        await jobs.apply_transition(courier, tenant(0), Transition(job, event, status))
        job = replace(job, status=status, version=job.version + 1)
    return [
        Statement(call.prepared.sql, call.prepared.order, {**call.prepared.constants, **call.values})
        for call in recorder.calls
    ]


def _queued() -> JobView:
    made = datetime.now(UTC)
    return JobView(
        id=JobId(new_uuid()),
        org_id=org_id(0),
        repository_id=repository_id(0),
        status=JobStatus(JobState.QUEUED),
        version=0,
        agent="dummy",
        title=TITLE,
        body=BODY,
        base_branch="main",
        base_sha=SHA,
        code=None,
        reason=None,
        seconds_worked=0.0,
        time_limit=3600.0,
        lease_owner=None,
        lease_until=None,
        priority=0,
        not_before=None,
        cost_limit=None,
        issue_number=None,
        created_at=made,
        updated_at=made,
    )
