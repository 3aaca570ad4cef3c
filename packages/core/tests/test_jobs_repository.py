"""Jobs in the database: guarded, appended, leased, seen by their own tenant only."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from aicd_core.contracts import Usage
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.db.pages import PageRequest
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.artifacts import repository as artifacts
from aicd_core.jobs.leases import repository as leases
from aicd_core.jobs.leases.values import Renewal
from aicd_core.jobs.machine import JobEvent, JobState, decide
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.values import JobView, NewJob, Transition
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.repositories import repository as repositories
from aicd_core.testing.leases import take_lease
from aicd_core.usage import repository as ledger

SHA = "a" * 40


async def make_job(database: Database, tenant: Tenant, body: str = "do it") -> JobView:
    async with database.write(tenant) as session:
        repository_id = await repositories.ensure_repository(session, tenant, "/srv/repo")
        new = NewJob(repository_id, "dummy", "Title", body, "main", SHA, 60.0)
        job_id = await jobs.insert_job(session, tenant, new)
        assert job_id is not None
        job = await jobs.get_job(session, tenant, job_id)
    assert job is not None
    return job


async def move(database: Database, tenant: Tenant, job: JobView, event: JobEvent, **why: str) -> bool:
    async with database.write(tenant) as session:
        change = Transition(job, event, decide(job.status, event), **why)
        return await jobs.apply_transition(session, tenant, change)


async def read(database: Database, tenant: Tenant, job_id: JobId) -> JobView:
    async with database.write(tenant) as session:
        job = await jobs.get_job(session, tenant, job_id)
    assert job is not None
    return job


async def test_a_transition_moves_the_job_and_appends_its_event(database: Database, tenant: Tenant):
    job = await make_job(database, tenant)
    assert await move(database, tenant, job, JobEvent.FAILED, code="no_usable_diff", reason="no diff")
    now = await read(database, tenant, job.id)
    assert (now.state, now.version, now.code, now.reason) == (JobState.FAILED, 1, "no_usable_diff", "no diff")
    async with database.write(tenant) as session:
        events = await jobs.list_events(session, tenant, job.id)
    assert [(event.event, event.state, event.version) for event in events] == [
        (None, JobState.QUEUED, 0),
        (JobEvent.FAILED, JobState.FAILED, 1),
    ]
    assert events[1].detail == {"code": "no_usable_diff", "reason": "no diff"}


async def test_whoever_read_an_older_version_writes_nothing(database: Database, tenant: Tenant):
    job = await make_job(database, tenant)
    assert await move(database, tenant, job, JobEvent.ADMITTED)
    assert not await move(database, tenant, job, JobEvent.CANCELLED)
    assert (await read(database, tenant, job.id)).state is JobState.PLANNING
    async with database.write(tenant) as session:
        assert len(await jobs.list_events(session, tenant, job.id)) == 2


async def test_an_issue_has_at_most_one_open_job(database: Database, tenant: Tenant):
    job = await make_job(database, tenant)
    async with database.write(tenant) as session:
        again = NewJob(job.repository_id, "dummy", "Title", "do it", "main", SHA, 60.0)
        assert await jobs.insert_job(session, tenant, again) is None
        found = await jobs.find_open(session, tenant, job.repository_id, again.issue_key)
    assert found is not None
    assert found.id == job.id
    await move(database, tenant, job, JobEvent.CANCELLED)
    assert (await make_job(database, tenant)).id != job.id


async def test_a_lease_is_taken_once_and_again_when_it_ran_out_or_its_holder_is_known_dead(
    database: Database, system: SystemDatabase, tenant: Tenant
):
    job = await make_job(database, tenant)
    assert await take_lease(system, job.id, "first")
    assert not await take_lease(system, job.id, "second")
    assert await take_lease(system, job.id, "second", dead=("first",))
    assert not await take_lease(system, job.id, "first")
    assert await take_lease(system, job.id, "second", -1.0, dead=("second",))
    assert await take_lease(system, job.id, "first")


async def test_a_renewed_lease_books_the_time_and_ends_with_the_job(
    database: Database, system: SystemDatabase, tenant: Tenant
):
    job = await make_job(database, tenant)
    assert await take_lease(system, job.id, "worker")
    ours, theirs = Renewal(job.id, "worker", 2.5), Renewal(job.id, "other", 2.5)
    assert await leases.renew(system.courier(), [ours, theirs], 60.0) == {"worker"}
    now = await read(database, tenant, job.id)
    assert now.seconds_worked == 2.5
    assert now.lease_until is not None
    assert now.lease_until > datetime.now(UTC) + timedelta(seconds=30)
    await move(database, tenant, now, JobEvent.CANCELLED)
    assert await leases.renew(system.courier(), [ours], 60.0) == frozenset()


async def test_an_artifact_is_stored_once_and_only_by_the_holder_of_the_lease(
    database: Database, system: SystemDatabase, tenant: Tenant
):
    job = await make_job(database, tenant)
    assert await take_lease(system, job.id, "worker")
    async with database.write(tenant) as session:
        for owner, content in (("other", b"stolen"), ("worker", b"first"), ("worker", b"second")):
            await artifacts.store_artifact(session, tenant, job.id, owner, ArtifactKind.PLAN, 0, content)
        assert await artifacts.get_artifact(session, tenant, job.id, ArtifactKind.PLAN, 0) == b"first"


async def test_the_newest_artifact_of_a_kind_is_found_without_its_number(
    database: Database, system: SystemDatabase, tenant: Tenant
):
    job = await make_job(database, tenant)
    assert await take_lease(system, job.id, "worker")
    async with database.write(tenant) as session:
        for number in (1, 3, 2):
            content = str(number).encode()
            await artifacts.store_artifact(session, tenant, job.id, "worker", ArtifactKind.REVIEW, number, content)
        assert await artifacts.get_artifact(session, tenant, job.id, ArtifactKind.REVIEW) == b"3"


async def test_a_ledger_entry_is_booked_once_and_entries_add_up(database: Database, tenant: Tenant):
    job = await make_job(database, tenant)
    async with database.write(tenant) as session:
        for key in ("plan/0", "plan/0", "change/1"):
            usage = Usage(input_tokens=10, output_tokens=3, cost_micro_usd=7)
            await ledger.add_entry(session, tenant, job.id, key, usage)
        total = await ledger.total(session, tenant, job.id)
    assert total == Usage(input_tokens=20, output_tokens=6, cost_micro_usd=14)


async def test_another_tenant_sees_and_changes_nothing(database: Database, tenant: Tenant, rival: Tenant):
    job, other = await make_job(database, tenant), rival
    async with database.write(other) as session:
        assert await jobs.get_job(session, other, job.id) is None
        assert (await jobs.list_jobs(session, other, PageRequest())).items == ()
        assert list(await jobs.list_events(session, other, job.id)) == []
    assert not await move(database, other, job, JobEvent.CANCELLED)
    assert (await read(database, tenant, job.id)).version == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [("state", "'sleeping'"), ("paused_from", "'coding'"), ("version", "-1")],
)
async def test_the_database_refuses_values_that_the_code_does_not_know(
    database: Database, tenant: Tenant, column: str, value: str
):
    await make_job(database, tenant)
    with pytest.raises(Exception, match="ck_jobs"):
        async with database.write(tenant) as session:
            await session.execute(text(f"UPDATE jobs SET {column} = {value}"))


async def test_jobs_come_in_pages_that_neither_skip_nor_repeat(database: Database, tenant: Tenant):
    made = [(await make_job(database, tenant, f"job {number}")).id for number in range(5)]
    seen: list[JobId] = []
    page = PageRequest(limit=2)
    while True:
        async with database.read(tenant) as session:
            found = await jobs.list_jobs(session, tenant, page)
        seen += [job.id for job in found.items]
        if found.next_cursor is None:
            break
        await make_job(database, tenant, f"made meanwhile, after {len(seen)}")
        page = PageRequest(limit=2, cursor=found.next_cursor)
    assert seen == made[::-1]
