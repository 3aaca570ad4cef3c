"""The ledger's sums: per job, per day of UTC, per repository, per model."""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import insert

from aicd_core.contracts import ModelRequest, Usage
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.ids import JobId, RepositoryId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.values import NewJob
from aicd_core.journal import repository as journal
from aicd_core.journal.texts import Known
from aicd_core.journal.values import Call
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.repositories.repository import ensure_repository
from aicd_core.testing.leases import take_lease
from aicd_core.usage import repository as ledger
from aicd_core.usage.models import UsageEntry

START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)


async def make_job(database: Database, tenant: Tenant, source: str) -> tuple[RepositoryId, JobId]:
    async with database.write(tenant) as session:
        repository_id = await ensure_repository(session, tenant, source)
        new = NewJob(repository_id, "dummy", "Title", source, "main", "a" * 40, 60.0)
        job_id = await jobs.insert_job(session, tenant, new)
    assert job_id is not None
    return repository_id, job_id


async def book(database: Database, tenant: Tenant, job_id: JobId, when: datetime, cost: int) -> None:
    usage = Usage(input_tokens=1, cost_micro_usd=cost)
    async with database.write(tenant) as session:
        values = {"org_id": tenant.org_id, "job_id": job_id, "entry_key": when.isoformat(), "created_at": when}
        await session.execute(insert(UsageEntry).values(**values, **usage.model_dump()))


async def test_an_entry_is_booked_once(database: Database, tenant: Tenant, rival: Tenant):
    _, job_id = await make_job(database, tenant, "/srv/a")
    async with database.write(tenant) as session:
        for cost in (5, 7):
            await ledger.add_entry(session, tenant, job_id, "plan", Usage(cost_micro_usd=cost))
        assert (await ledger.total(session, tenant, job_id)).cost_micro_usd == 5
    async with database.read(rival) as session:
        assert await ledger.total(session, rival, job_id) == Usage()


async def test_sums_are_per_day_of_utc_within_the_span(database: Database, tenant: Tenant, rival: Tenant):
    for owner in (tenant, rival):
        _, job_id = await make_job(database, owner, "/srv/a")
        late = datetime.fromisoformat("2026-10-06T01:00:00+02:00")
        for when, cost in ((START, 1), (late, 10), (datetime(2026, 10, 5, 1, tzinfo=UTC), 100), (END, 1000)):
            await book(database, owner, job_id, when, cost)
    async with database.read(tenant) as session:
        days = await ledger.totals_by_day(session, tenant, START, END)
        whole = await ledger.total_between(session, tenant, START, END)
    assert [(day.day, day.entries, day.usage.cost_micro_usd) for day in days] == [
        (date(2026, 10, 1), 1, 1),
        (date(2026, 10, 5), 2, 110),
    ]
    assert (whole.cost_micro_usd, whole.input_tokens) == (111, 3)


async def test_the_sum_of_the_month_leaves_out_what_was_booked_before_it(database: Database, tenant: Tenant):
    _, job_id = await make_job(database, tenant, "/srv/a")
    this_month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for when, cost in ((this_month - timedelta(microseconds=1), 1), (this_month, 10), (datetime.now(UTC), 100)):
        await book(database, tenant, job_id, when, cost)
    async with database.read(tenant) as session:
        assert (await ledger.total_of_month(session, tenant)).cost_micro_usd == 110


async def test_sums_are_per_repository_the_dearest_first(database: Database, tenant: Tenant):
    cheap, cheap_job = await make_job(database, tenant, "/srv/cheap")
    dear, dear_job = await make_job(database, tenant, "/srv/dear")
    await book(database, tenant, cheap_job, START, 1)
    await book(database, tenant, dear_job, START, 2**40)
    await book(database, tenant, dear_job, END, 1)
    async with database.read(tenant) as session:
        found = await ledger.totals_by_repository(session, tenant, START, END)
    assert [(total.repository_id, total.entries, total.usage.cost_micro_usd) for total in found] == [
        (dear, 1, 2**40),
        (cheap, 1, 1),
    ]


async def test_sums_are_per_model_the_dearest_first(
    database: Database, system: SystemDatabase, tenant: Tenant, rival: Tenant
):
    for owner in (tenant, rival):
        _, job_id = await make_job(database, owner, "/srv/a")
        assert await take_lease(system, job_id, "us")
        async with database.write(owner) as session:
            for number, (model, cost) in enumerate((("small", 1), ("large", 100), ("small", 10))):
                call = Call("code/1", number, ModelRequest(model=model, content=b"%d" % number))
                texts = Known().texts(call.step, model, call.request.content, b"reply")
                assert await journal.store_call(session, owner, job_id, "us", call, texts)
                usage = Usage(output_tokens=2, cost_micro_usd=cost)
                await ledger.add_entry(session, owner, job_id, call.entry_key, usage)
            await ledger.add_entry(session, owner, job_id, "setup", Usage(cost_micro_usd=5))
    since, until = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=1)
    async with database.read(tenant) as session:
        found = await ledger.totals_by_model(session, tenant, since, until)
        before = await ledger.totals_by_model(session, tenant, START, since)
    assert [(sums.model, sums.entries, sums.usage.cost_micro_usd, sums.usage.output_tokens) for sums in found] == [
        ("large", 1, 100, 2),
        ("small", 2, 11, 4),
        (None, 1, 5, 0),
    ]
    assert before == []
