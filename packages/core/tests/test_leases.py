"""Leases of a process: kept alive together, given back, and taken from the dead."""

import asyncio
import os
import subprocess
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from aicd_core.db.calls import Call
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.db.pipeline import Pipeline
from aicd_core.errors import UnavailableError
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.leases import repository as leases
from aicd_core.jobs.leases.values import Demand, Taken
from aicd_core.jobs.machine import JobEvent
from aicd_core.jobs.values import NewJob
from aicd_core.orchestrator import lease
from aicd_core.orchestrator.admission import Admission
from aicd_core.orchestrator.chores import free_dead_leases
from aicd_core.orchestrator.dispatch import NOBODY
from aicd_core.orchestrator.intake import INTAKE
from aicd_core.orchestrator.lease import Held, LeaseKeeper
from aicd_core.orchestrator.moves import Mover
from aicd_core.orchestrator.owners import OwnerNames, is_gone
from aicd_core.orchestrator.records import LeaseLostError
from aicd_core.orchestrator.steps.context import StepResult
from aicd_core.telemetry.metrics import REGISTRY
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.repositories.service import take_up
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.leases import take_lease


@pytest.fixture
async def job_id(database: Database, tenant: Tenant) -> JobId:
    async with database.write(tenant) as session:
        repository_id = await take_up(session, tenant, INTAKE, "/srv/one")
    made = await jobs.insert_job(
        database.courier(tenant), tenant, NewJob(repository_id, "dummy", "t", "b", "main", "sha", 60)
    )
    assert made is not None
    return made


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.05)


def ask(urls: TestUrls, query: str) -> list[tuple]:
    with psycopg.connect(urls.admin) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


async def taken_by(system: SystemDatabase) -> Taken:
    taken = await Admission(system).take()
    assert taken is not None
    return taken


@pytest.mark.usefixtures("job_id", "quick")
async def test_what_the_heartbeats_booked_counts_against_the_time_limit_of_the_next_step(
    database: Database, system: SystemDatabase, database_urls: TestUrls
):
    mover = Mover(database, NOBODY, lambda _: None, patience=0)

    async def work(held: Held) -> tuple[float, float]:
        await asyncio.sleep(0.5)
        (booked,) = ask(database_urls, "SELECT seconds_worked FROM jobs")
        job = await mover.move(held, held.taken.job, StepResult(JobEvent.PLAN_READY))
        return booked[0], job.seconds_worked

    booked, known = await LeaseKeeper(system).hold(await taken_by(system), work)
    assert 0 < booked <= known
    assert known >= 0.5


@pytest.mark.usefixtures("job_id", "quick")
async def test_what_the_heartbeats_booked_counts_in_the_time_to_the_pull_request(
    database: Database, system: SystemDatabase
):
    name = "aicd_job_seconds_to_pull_request"
    before = [REGISTRY.get_sample_value(f"{name}_{what}") or 0 for what in ("count", "sum")]
    mover = Mover(database, NOBODY, lambda _: None, patience=0)

    async def work(held: Held) -> float:
        job = held.taken.job
        for event in (JobEvent.PLAN_READY, JobEvent.CODED):
            job = await mover.move(held, job, StepResult(event))
        await asyncio.sleep(0.5)
        return (await mover.move(held, job, StepResult(JobEvent.PUBLISHED))).seconds_worked

    took = await LeaseKeeper(system).hold(await taken_by(system), work)
    count, seconds = [REGISTRY.get_sample_value(f"{name}_{what}") or 0 for what in ("count", "sum")]
    assert (count - before[0], seconds - before[1]) == (1, pytest.approx(took, abs=0.1))


@pytest.mark.usefixtures("job_id", "quick")
async def test_a_heartbeat_outlives_an_error_of_any_kind(
    system: SystemDatabase, database_urls: TestUrls, monkeypatch: pytest.MonkeyPatch
):
    real, errors = leases.renew, [UnavailableError("away"), ValueError("a defect")]

    async def renew(*arguments):
        if errors:
            raise errors.pop()
        return await real(*arguments)

    monkeypatch.setattr(leases, "renew", renew)

    async def work(held: Held) -> None:
        (first,) = ask(database_urls, "SELECT lease_until FROM jobs")
        while ask(database_urls, "SELECT lease_until FROM jobs") == [first]:
            await asyncio.sleep(0.02)

    await asyncio.wait_for(LeaseKeeper(system).hold(await taken_by(system), work), 30)
    assert errors == []


@pytest.mark.usefixtures("quick")
async def test_work_whose_lease_somebody_else_has_is_cancelled(
    system: SystemDatabase, database_urls: TestUrls, job_id: JobId
):
    began = asyncio.Event()

    async def work(held: Held) -> None:
        began.set()
        await asyncio.sleep(3600)

    holding = asyncio.ensure_future(LeaseKeeper(system).hold(await taken_by(system), work))
    await began.wait()
    ask(database_urls, "UPDATE jobs SET lease_until = now()")
    while not await take_lease(system, job_id, "somebody else"):  # a heartbeat came in between
        ask(database_urls, "UPDATE jobs SET lease_until = now()")
    with pytest.raises(LeaseLostError):
        await asyncio.wait_for(holding, 30)
    assert ask(database_urls, "SELECT lease_owner FROM jobs") == [("somebody else",)]


@pytest.mark.usefixtures("job_id")
async def test_a_worker_that_hears_of_its_own_transition_asks_nothing_and_of_somebody_elses_at_once(
    database: Database, system: SystemDatabase, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 3600.0)
    keeper, mover = LeaseKeeper(system), Mover(database, NOBODY, lambda _: None, patience=0)
    real, renewals = leases.renew, []

    async def renew(*arguments):
        renewals.append(arguments)
        return await real(*arguments)

    monkeypatch.setattr(leases, "renew", renew)

    async def work(held: Held) -> None:
        job = await mover.move(held, held.taken.job, StepResult(JobEvent.PLAN_READY))
        keeper.look_at(job.id, job.version)
        await asyncio.sleep(0.2)
        assert renewals == []
        ended = await mover.push(tenant, job, StepResult(JobEvent.CANCELLED))
        assert ended is not None
        keeper.look_at(ended.id, ended.version)
        await asyncio.sleep(3600)

    with pytest.raises(LeaseLostError):
        await asyncio.wait_for(keeper.hold(await taken_by(system), work), 30)
    assert len(renewals) == 1


@pytest.mark.usefixtures("job_id")
async def test_an_admission_that_cannot_give_a_job_back_goes_on(
    system: SystemDatabase, database_urls: TestUrls, monkeypatch: pytest.MonkeyPatch
):
    """One who asked is stopped meanwhile; giving his job back fails; who asks during that is answered all the same."""
    asked, answer_now, failing = asyncio.Event(), asyncio.Event(), asyncio.Event()
    real_take = leases.take

    async def slow_take(*arguments):
        given = await real_take(*arguments)
        asked.set()
        await answer_now.wait()
        return given

    async def no_release(*_: object) -> None:
        failing.set()
        await asyncio.sleep(0.2)
        raise UnavailableError("away")

    monkeypatch.setattr(leases, "take", slow_take)
    monkeypatch.setattr(leases, "release", no_release)
    admission = Admission(system)
    first = asyncio.ensure_future(admission.take())
    await asked.wait()
    first.cancel()
    answer_now.set()
    await failing.wait()
    assert await asyncio.wait_for(admission.take(), 30) is None


@pytest.mark.usefixtures("job_id")
async def test_the_dead_hold_no_lease_and_neither_do_those_whom_nobody_buried(
    system: SystemDatabase, database_urls: TestUrls
):
    child = subprocess.Popen(["sleep", "3600"])
    start = Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    host, here, *_ = OwnerNames().new().split("/")
    owner = f"{host}/{here}/{child.pid}/{start}/1"
    try:
        assert await leases.take(system.courier(), Demand([owner], 3600.0))
        assert not is_gone(owner)
        await free_dead_leases(system)
        assert ask(database_urls, "SELECT lease_owner FROM jobs") == [(owner,)]
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie
        assert is_gone(owner)
        freed = REGISTRY.get_sample_value("aicd_leases_freed_total") or 0
        await free_dead_leases(system)
        assert REGISTRY.get_sample_value("aicd_leases_freed_total") == freed + 1
        assert ask(database_urls, "SELECT lease_owner, woken_at FROM jobs") == [(None, None)]
    finally:
        child.kill()
        child.wait()


async def test_a_pool_finds_its_postgres_soon_after_it_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """However long it was away: the pauses between two tries do not grow past what a caller waits."""
    monkeypatch.setattr("aicd_core.db.pipeline.PATIENCE", 2.0)
    server = EmbeddedPostgres(tmp_path / "postgres", durable=False)
    pipeline = Pipeline(make_url(server.start()), 1)
    server.stop()
    try:
        for _ in range(4):
            with pytest.raises(psycopg.OperationalError):
                await pipeline.run(None, [])
        server.start()
        assert await pipeline.run(None, [Call(leases._LOCK, {"key": 1})]) is not None
    finally:
        await pipeline.close()
        server.stop()
