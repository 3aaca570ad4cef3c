"""Sub-results as the holder of a job's lease keeps and finds them."""

import pytest

from aicd_core.contracts import Review, ReviewVerdict, Usage
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.artifacts import repository as artifacts
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.values import NewJob
from aicd_core.orchestrator.intake import INTAKE
from aicd_core.orchestrator.records import LeaseLostError, Records
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.repositories.service import take_up
from aicd_core.testing.leases import take_lease

REJECTED, APPROVED = Review(verdict=ReviewVerdict.REJECT), Review(verdict=ReviewVerdict.APPROVE)
COST = Usage(input_tokens=7, output_tokens=3, cost_micro_usd=11)
REVIEW = ArtifactKind.REVIEW


@pytest.fixture
async def job_id(database: Database, system: SystemDatabase, tenant: Tenant) -> JobId:
    """A job whose lease is ours."""
    async with database.write(tenant) as session:
        repository_id = await take_up(session, tenant, INTAKE, "/srv/one")
    made = await jobs.insert_job(
        database.courier(tenant), tenant, NewJob(repository_id, "dummy", "t", "b", "main", "sha", 60)
    )
    assert made is not None
    assert await take_lease(system, made, "us")
    return made


async def test_the_next_holder_finds_what_the_one_before_stored_and_what_it_cost(
    database: Database, tenant: Tenant, job_id: JobId
):
    first = Records(database, tenant, job_id, "us")
    assert await first.load(REVIEW, Review, 1) is None
    await first.keep(REVIEW, 1, REJECTED, COST)
    assert await first.load(REVIEW, Review, 1) == REJECTED
    later = Records(database, tenant, job_id, "us")
    assert await later.load(REVIEW, Review, 1) == REJECTED
    assert await later.load(REVIEW, Review, 2) is None
    assert await later.usage() == COST


async def test_what_was_stored_first_stays_and_a_later_result_is_paid_for_all_the_same(
    database: Database, tenant: Tenant, job_id: JobId
):
    await Records(database, tenant, job_id, "us").keep(REVIEW, 1, REJECTED, COST)
    again = Records(database, tenant, job_id, "us")
    assert await again.keep(REVIEW, 1, APPROVED, COST) == REJECTED
    assert await again.load(REVIEW, Review, 1) == REJECTED
    assert await again.usage() == COST + COST


async def test_whoever_lost_the_lease_stores_nothing_and_what_it_spent_is_booked(
    database: Database, tenant: Tenant, job_id: JobId
):
    lost = Records(database, tenant, job_id, "them")
    with pytest.raises(LeaseLostError):
        await lost.keep(REVIEW, 1, APPROVED, COST)
    assert await artifacts.get_artifacts(database.courier(tenant), tenant, job_id) == {}
    assert await lost.usage() == COST


async def test_a_sub_result_is_read_once(
    database: Database, tenant: Tenant, job_id: JobId, monkeypatch: pytest.MonkeyPatch
):
    for number in (1, 2):
        await Records(database, tenant, job_id, "us").keep(REVIEW, number, REJECTED)
    real, read = artifacts.get_artifacts, []

    async def counted(*arguments):
        read.append(arguments)
        return await real(*arguments)

    monkeypatch.setattr(artifacts, "get_artifacts", counted)
    records = Records(database, tenant, job_id, "us")
    for number in (1, 2, 1, 2, 3, 3):
        await records.load(REVIEW, Review, number)
    assert len(read) == 1
