"""Logs of jobs: kept masked and in order, read by their own organization, let go of when the job has long ended."""

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import text

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.db.pages import PageRequest, cursor_of
from aicd_core.errors import UnavailableError
from aicd_core.ids import JobId, new_uuid
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.log import repository as log
from aicd_core.jobs.log.values import LogKind, NewLine
from aicd_core.jobs.machine import JobState
from aicd_core.jobs.values import NewJob
from aicd_core.orchestrator import CommandEnded, Message, Redaction, StateChanged, keeping_logs, watch_jobs
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.repositories.repository import ensure_repository
from aicd_core.testing.databases import TestUrls

PASSWORD = "correct horse battery staple"


async def a_job(database: Database, tenant: Tenant) -> JobId:
    async with database.write(tenant) as session:
        of = await ensure_repository(session, tenant, "/srv/a")
        made = await jobs.insert_job(
            session, tenant, NewJob(of, "dummy", "Title", str(new_uuid()), "main", "a" * 40, 60.0)
        )
    assert made is not None
    return made


async def lines(database: Database, tenant: Tenant, job: JobId, page: PageRequest | None = None) -> list[str]:
    async with database.read(tenant) as session:
        return [line.text for line in (await log.list_lines(session, tenant, job, page or PageRequest())).items]


async def test_what_is_told_is_kept_in_order_masked_and_cut(database: Database, system: SystemDatabase, tenant: Tenant):
    job, gone = await a_job(database, tenant), JobId(new_uuid())
    async with keeping_logs(system, Redaction([PASSWORD])) as keeper:
        keeper.observe(Message(job, f"logs in with {PASSWORD}"))
        keeper.observe(Message(gone, "of a job that was erased meanwhile"))
        keeper.observe(StateChanged(job, JobState.CODING, 1))
        keeper.observe(CommandEnded(job, "make\x00 test\ud800", "exit code 2", 1.5))
        keeper.observe(Message(job, "x" * 5_000))
    async with database.read(tenant) as session:
        first, command, long = (await log.list_lines(session, tenant, job, PageRequest())).items
    assert first.text == "logs in with [redacted: a secret]"
    assert (command.kind, command.outcome, command.seconds) == (LogKind.COMMAND, "exit code 2", 1.5)
    assert command.text.startswith("make\ufffd test")
    assert len(long.text) == 2_000
    assert await lines(database, tenant, job, PageRequest(cursor=cursor_of(first.number))) == [command.text, long.text]
    assert await lines(database, tenant, gone) == []


async def test_a_log_is_its_organizations_own(
    database: Database, system: SystemDatabase, tenant: Tenant, rival: Tenant
):
    job = await a_job(database, tenant)
    async with system.write() as session:
        await log.append_lines(session, [NewLine(job, datetime.now(UTC), LogKind.MESSAGE, "ours")])
    assert await lines(database, tenant, job) == ["ours"]
    assert await lines(database, rival, job) == []


async def test_new_lines_are_heard_with_the_version_that_the_job_has(
    database: Database, system: SystemDatabase, tenant: Tenant
):
    job, listening = await a_job(database, tenant), asyncio.Event()
    heard: asyncio.Queue[tuple[JobId, int]] = asyncio.Queue()
    watching = asyncio.create_task(watch_jobs(system, lambda *told: heard.put_nowait(told), listening.set))
    await listening.wait()
    async with keeping_logs(system, Redaction()) as keeper:
        keeper.observe(Message(job, "hello"))
    assert await asyncio.wait_for(heard.get(), 30) == (job, 0)
    watching.cancel()


async def test_lines_wait_for_a_database_that_is_away_and_those_too_many_are_counted(
    database: Database,
    system: SystemDatabase,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    def away() -> None:
        raise UnavailableError("away", code="database_unavailable")

    monkeypatch.setattr("aicd_core.orchestrator.log_keeper.WAITING_MOST", 3)
    monkeypatch.setattr("aicd_core.orchestrator.log_keeper.RETRY_SECONDS", 0.05)
    job = await a_job(database, tenant)
    async with keeping_logs(system, Redaction()) as keeper:
        with monkeypatch.context() as gone:
            gone.setattr(system, "write", away)
            for number in range(5):
                keeper.observe(Message(job, f"line {number}"))
            while "lines of jobs' logs wait" not in caplog.text:
                await asyncio.sleep(0.01)
    assert await lines(database, tenant, job) == ["line 0", "line 1", "line 2"]
    assert "2 lines of jobs' logs were lost" in caplog.text


async def test_lines_that_cannot_be_kept_are_lost_alone(
    database: Database,
    system: SystemDatabase,
    tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    job = await a_job(database, tenant)
    async with keeping_logs(system, Redaction()) as keeper:
        with monkeypatch.context() as broken:
            broken.setattr(log, "append_lines", None)
            keeper.observe(Message(job, "lost"))
            while "1 lines of jobs' logs cannot be kept" not in caplog.text:
                await asyncio.sleep(0.01)
        keeper.observe(Message(job, "kept"))
    assert await lines(database, tenant, job) == ["kept"]


async def test_a_job_that_is_being_erased_takes_no_others_lines_with_it(
    database: Database, system: SystemDatabase, tenant: Tenant, database_urls: TestUrls
):
    erased, job = await a_job(database, tenant), await a_job(database, tenant)
    async with await psycopg.AsyncConnection.connect(database_urls.admin) as admin:
        await admin.execute("DELETE FROM job_events WHERE job_id = %s", (erased,))
        await admin.execute("DELETE FROM jobs WHERE id = %s", (erased,))
        appending = asyncio.create_task(append(system, [erased, job]))
        while not (await admin.execute("SELECT FROM pg_locks WHERE NOT granted")).rowcount:
            await asyncio.sleep(0.01)
        await admin.commit()
        await appending
    assert await lines(database, tenant, job) == ["line"]


async def append(system: SystemDatabase, of: list[JobId]) -> None:
    async with system.write() as session:
        await log.append_lines(session, [NewLine(job, datetime.now(UTC), LogKind.MESSAGE, "line") for job in of])


async def test_lines_of_jobs_that_ended_long_ago_are_let_go_of(
    database: Database, system: SystemDatabase, tenant: Tenant
):
    ended, recent, open_ = [await a_job(database, tenant) for _ in range(3)]
    now = datetime.now(UTC)
    async with system.write() as session:
        await log.append_lines(
            session, [NewLine(job, now, LogKind.MESSAGE, f"{n}") for n in range(3) for job in (ended, recent, open_)]
        )
        for job, state, age in ((ended, "failed", 40), (recent, "failed", 1), (open_, "coding", 40)):
            values = {"job": job, "state": state, "at": now - timedelta(days=age)}
            await session.execute(text("UPDATE jobs SET state = :state, updated_at = :at WHERE id = :job"), values)
    before = now - timedelta(days=30)
    async with system.write() as session:
        assert await log.delete_lines(session, before, 2) == 2
    async with system.write() as session:
        assert await log.delete_lines(session, before, 2) == 1
    assert await lines(database, tenant, ended) == []
    assert len(await lines(database, tenant, recent)) == len(await lines(database, tenant, open_)) == 3
