"""Jobs in the database beside a model of them: transitions, leases and sweeps, at once and in any order."""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import hypothesis
import psycopg
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.leases import repository as leases
from aicd_core.jobs.leases.values import Demand, Renewal, Taken
from aicd_core.jobs.machine import AT_WORK, TERMINAL, JobEvent, JobState, JobStatus, can_happen, decide, stop
from aicd_core.jobs.values import JobView, NewJob, Transition
from aicd_core.orchestrator.intake import INTAKE
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.service import ensure_organization
from aicd_core.tenancy.repositories.service import take_up
from aicd_core.testing.databases import TestUrls, fresh_urls

ResultT = TypeVar("ResultT")
LIMIT = 5
"""Of an organization that never edited its settings."""
OUTSIDE = (JobEvent.CANCELLED, JobEvent.RESUMED, JobEvent.APPROVED, JobEvent.FEEDBACK)
"""What comes from people and from the code host."""


@dataclass
class Known:
    """What a job must be: its status and version, and who holds its lease (run out or not)."""

    status: JobStatus
    version: int = 0
    owner: str | None = None


class Jobs(RuleBasedStateMachine):
    """Two workers and a person on one organization's jobs."""

    urls: TestUrls
    made = Bundle("made")
    held = Bundle("held")
    seen = Bundle("seen")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.database, self.system = Database.connect(self.urls.app), SystemDatabase.connect(self.urls.system)
        self.known: dict[JobId, Known] = {}
        self.owners = 0
        self.tenant, self.repository_id = self.do(self._begin())

    async def _begin(self) -> tuple[Tenant, Any]:
        async with self.system.write() as session:
            tenant = await ensure_organization(session, "acme")
        async with self.database.write(tenant) as session:
            return tenant, await take_up(session, tenant, INTAKE, "/srv/one")

    def teardown(self) -> None:
        for job_id in self.known:
            self._set(job_id, "state = 'cancelled', paused_from = NULL, lease_owner = NULL, lease_until = NULL")
        self.do(self.database.close())
        self.do(self.system.close())
        self.loop.close()

    def do(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return self.loop.run_until_complete(work)

    @rule(target=made)
    def a_job_is_asked_for(self) -> JobId:
        new = NewJob(
            self.repository_id,
            "dummy",
            "t",
            f"{self.tenant.org_id} {JobId}{id(self)} {len(self.known)}",
            "main",
            "sha",
            60,
        )
        job_id = self.do(jobs.insert_job(self.database.courier(self.tenant), self.tenant, new))
        assert job_id is not None
        self.known[job_id] = Known(JobStatus(JobState.QUEUED))
        return job_id

    @rule(target=held, wanted=st.integers(1, 3), askers=st.integers(1, 3))
    def workers_ask_at_once(self, wanted: int, askers: int) -> Any:
        """Each job goes to one of them at most, and all of them together get what the limit allows, and no less."""

        async def ask() -> list[list[Taken]]:
            demands = [Demand([self._name() for _ in range(wanted)], 600.0) for _ in range(askers)]
            return await asyncio.gather(*(leases.take(self.system.courier(), demand) for demand in demands))

        ready = sum(one.status.state in AT_WORK and one.owner is None for one in self.known.values())
        at_work = sum(one.owner is not None for one in self.known.values())
        taken = [one for given in self.do(ask()) for one in given]
        assert len({one.job.id for one in taken}) == len(taken)
        assert len(taken) == min(ready, LIMIT - at_work, wanted * askers)
        for one in taken:
            known = self.known[one.job.id]
            assert known.owner is None
            if known.status.state is JobState.QUEUED:
                known.status, known.version = decide(known.status, JobEvent.ADMITTED), known.version + 1
            known.owner = one.owner
            assert (one.job.status, one.job.version) == (known.status, known.version)
        return multiple(*taken)

    @rule(target=held, taken=consumes(held), event=st.sampled_from(JobEvent), other=st.sampled_from(JobEvent))
    def a_worker_and_a_person_move_a_job_at_once(self, taken: Taken, event: JobEvent, other: JobEvent) -> Any:
        """Exactly one of them, if each event is one that can happen and the worker's lease still holds."""
        known, job = self.known[taken.job.id], taken.job
        changes = [
            Transition(job, what, decide(job.status, what), owner=owner, keep_lease=owner is not None and keeps)
            for what, owner, keeps in ((event, taken.owner, True), (other, None, False))
            if can_happen(job.status, what)
        ]
        changes = [replace(c, keep_lease=c.keep_lease and c.status.state in AT_WORK) for c in changes]
        current = known.version == job.version and known.status == job.status
        could = [current and (c.owner is None or c.owner == known.owner) for c in changes]

        async def move() -> list[bool]:
            courier = self.database.courier(self.tenant)
            return await asyncio.gather(*(jobs.apply_transition(courier, self.tenant, change) for change in changes))

        moved = self.do(move())
        assert sum(moved) == min(1, sum(could))
        assert all(was_able for did, was_able in zip(moved, could, strict=True) if did)
        for change, did in zip(changes, moved, strict=True):
            if did:
                known.status, known.version = change.status, known.version + 1
                known.owner = known.owner if change.keep_lease else None
        if known.owner == taken.owner:
            return multiple(replace(taken, job=self._read(job.id)))
        return multiple()

    @rule(taken=consumes(held))
    def a_worker_dies(self, taken: Taken) -> None:
        """Its lease runs out."""
        if self.known[taken.job.id].owner == taken.owner:
            self._set(taken.job.id, "lease_until = now()")
            self.known[taken.job.id].owner = None

    @rule(taken=held)
    def a_heartbeat(self, taken: Taken) -> None:
        """Prolongs the lease of a job that is still its holder's, and no other."""
        known = self.known[taken.job.id]
        kept = self.do(leases.renew(self.system.courier(), [Renewal(taken.job.id, taken.owner, 0.0)], 600.0))
        assert (taken.owner in kept) == (known.owner == taken.owner)

    @rule(taken=consumes(held))
    def a_worker_gives_a_job_back(self, taken: Taken) -> None:
        self.do(leases.release(self.system.courier(), Renewal(taken.job.id, taken.owner, 0.0)))
        if self.known[taken.job.id].owner == taken.owner:
            self.known[taken.job.id].owner = None

    @rule(
        job_id=made,
        event=st.sampled_from([JobEvent.CANCELLED, JobEvent.RESUMED, JobEvent.APPROVED, JobEvent.FEEDBACK]),
        stopped=st.booleans(),
    )
    def a_person_decides(self, job_id: JobId, event: JobEvent, stopped: bool) -> None:  # drawn
        known, job = self.known[job_id], self._read(job_id)
        if can_happen(job.status, event):
            ends = stopped and event is JobEvent.CANCELLED and job.state in AT_WORK
            change = Transition(job, event, stop(job.status) if ends else decide(job.status, event))
            assert self.do(jobs.apply_transition(self.database.courier(self.tenant), self.tenant, change))
            known.status, known.version, known.owner = change.status, known.version + 1, None

    @invariant()
    def the_database_says_the_same(self) -> None:
        for job_id, known in self.known.items():
            job = self._read(job_id)
            assert (job.status, job.version) == (known.status, known.version)
            assert job.status.state not in TERMINAL or job.lease_owner is None

    @invariant()
    def a_sweep_finds_every_job_that_nobody_works_on(self) -> None:
        with psycopg.connect(self.urls.admin) as connection:
            connection.execute("UPDATE jobs SET woken_at = NULL")
        due = {one.job_id for one in self.do(leases.mark_due(self.system.courier(), 0.0, 1000, wake=False))}
        assert due == {i for i, one in self.known.items() if one.status.state in AT_WORK and one.owner is None}

    def _name(self) -> str:
        self.owners += 1
        return f"owner {self.owners}"

    def _read(self, job_id: JobId) -> JobView:
        async def read() -> JobView | None:
            async with self.database.read(self.tenant) as session:
                return await jobs.get_job(session, self.tenant, job_id)

        job = self.do(read())
        assert job is not None
        return job

    def _set(self, job_id: JobId, what: str) -> None:
        with psycopg.connect(self.urls.admin) as connection:
            connection.execute(f"UPDATE jobs SET {what} WHERE id = '{job_id}'".encode())


@pytest.fixture
def machine(postgres_url: str) -> Iterator[type[Jobs]]:
    with fresh_urls(postgres_url) as urls:
        yield type("JobsHere", (Jobs,), {"urls": urls})


def test_the_database_follows_the_model_whatever_happens_at_once(machine: type[Jobs]):
    settings = hypothesis.settings(
        max_examples=8, stateful_step_count=25, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    run_state_machine_as_test(machine, settings=settings)
