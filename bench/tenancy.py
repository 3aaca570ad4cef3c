"""What the two walls between tenants cost.

    .venv/bin/python bench/tenancy.py [--tenants N] [--jobs N] [--rounds N] [--no-ping] [--data-dir D]

Fills an embedded Postgres, then sends each important query in turn through both walls (`Database.read` and `.write` as
the application's role, every query confined by `mine`) and without them (the superuser, a plain transaction, and only
the conditions that the query itself needs). Both go through SQLAlchemy on a pool; a ratio is of the medians. Prints the
plan of each query as the application's role, and exits with 1 when one reads a big table from end to end.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from aicd_core.db.database import Database
from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.db.pages import PageRequest
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.ids import JobId, OrgId, RepositoryId, new_uuid
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.machine import JobEvent
from aicd_core.jobs.values import NewJob, Transition
from aicd_core.migrations import migrate
from aicd_core.tenancy import Tenant
from aicd_core.testing.ending import clean_up_when_told_to_stop
from aicd_core.testing.walls import without_application_wall
from aicd_core.usage import repository as ledger

BIG = ("jobs", "job_events", "usage_entries")
AIM = 1.15
EVENTS = 3
SHA = "a" * 40

# UUIDs count up like UUIDv7 does: tenant, then a running number, so that ids are found again without asking.
FILL = f"""
CREATE FUNCTION pg_temp.key(kind int, number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT (lpad(to_hex(kind), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid $$;
INSERT INTO organizations (id, slug, name, revision)
    SELECT pg_temp.key(1, n), 'org-' || n, 'Organization ' || n, 1 FROM generate_series(0, %(tenants)s - 1) n;
INSERT INTO repositories (id, org_id, source)
    SELECT pg_temp.key(2, n), pg_temp.key(1, n), '/srv/repo-' || n FROM generate_series(0, %(tenants)s - 1) n;
INSERT INTO jobs (id, org_id, repository_id, state, version, round, plan_attempts, agent, title, body, issue_key,
                  base_branch, base_sha, seconds_worked, time_limit)
    SELECT pg_temp.key(3, n), pg_temp.key(1, n %% %(tenants)s), pg_temp.key(2, n %% %(tenants)s),
           CASE WHEN n / %(tenants)s %% 10 = 0 THEN 'queued' ELSE 'merged' END, {EVENTS} - 1, 0, 0,
           'dummy', 'Title ' || n,
           repeat('body ', 40), lpad(n::text, 64, '0'), 'main', '{SHA}', 0, 3600
    FROM generate_series(0, %(jobs)s - 1) n;
INSERT INTO job_events (org_id, job_id, version, state, detail)
    SELECT pg_temp.key(1, n %% %(tenants)s), pg_temp.key(3, n), v, 'queued', '{{}}'
    FROM generate_series(0, %(jobs)s - 1) n, generate_series(0, {EVENTS} - 1) v WHERE n %% 4 = 0 OR v = 0;
INSERT INTO usage_entries (org_id, job_id, entry_key, input_tokens, cached_input_tokens, cache_write_tokens,
                           output_tokens, cost_micro_usd)
    SELECT pg_temp.key(1, n %% %(tenants)s), pg_temp.key(3, n), 'plan/' || v, 1000, 0, 0, 100, 7
    FROM generate_series(0, %(jobs)s - 1) n, generate_series(0, 1) v WHERE n %% 2 = 0;
"""


def key(kind: int, number: int) -> Any:
    """The same ids as in FILL."""
    return type(new_uuid())(f"{kind:08x}-0000-7000-8000-{number:012x}")


@dataclass(frozen=True)
class Target:
    """One job to ask for, and whose it is."""

    number: int
    tenants: int

    @property
    def tenant(self) -> Tenant:
        return Tenant(OrgId(key(1, self.number % self.tenants)))

    @property
    def repository(self) -> RepositoryId:
        return RepositoryId(key(2, self.number % self.tenants))

    @property
    def job(self) -> JobId:
        return JobId(key(3, self.number))

    @property
    def issue_key(self) -> str:
        return f"{self.number:064}"


def open_job(chance: random.Random, tenants: int, count: int) -> Target:
    """A job that is still open: in FILL, every tenth one of each tenant."""
    of_tenant = count // tenants // 10
    return Target(chance.randrange(of_tenant) * 10 * tenants + chance.randrange(tenants), tenants)


Ask = Callable[[Any, Target], Awaitable[object]]


async def insert_one(session: WriteSession, at: Target) -> object:
    new = NewJob(at.repository, "dummy", "Title", str(new_uuid()), "main", SHA, 60.0)
    return await jobs.insert_job(session, at.tenant, new)


async def move_one(session: WriteSession, at: Target) -> object:
    job = await jobs.get_job(session, at.tenant, at.job)
    assert job is not None
    return await jobs.apply_transition(session, at.tenant, Transition(job, JobEvent.ADMITTED, job.status))


QUERIES: dict[str, tuple[bool, Ask]] = {
    "get job": (False, lambda session, at: jobs.get_job(session, at.tenant, at.job)),
    "newest page": (False, lambda session, at: jobs.list_jobs(session, at.tenant, PageRequest(limit=20))),
    "find open": (False, lambda session, at: jobs.find_open(session, at.tenant, at.repository, at.issue_key)),
    "list events": (False, lambda session, at: jobs.list_events(session, at.tenant, at.job)),
    "usage total": (False, lambda session, at: ledger.total(session, at.tenant, at.job)),
    "transition": (True, move_one),
    "insert job": (True, insert_one),
}
"""Whether it writes, and the repository's own function."""
ASKS_FOR_TENANT = frozenset({"newest page", "find open", "list events", "usage total"})
"""Queries whose index begins with `org_id`: without walls they name the tenant too, or they would be slower for it."""


@asynccontextmanager
async def plain(engine: AsyncEngine, kind: type[AsyncSession]) -> AsyncIterator[AsyncSession]:
    """A transaction as SQLAlchemy opens it, of no tenant."""
    async with kind(engine, expire_on_commit=False) as session, session.begin():
        yield session


async def seconds(transaction: Callable[[], AbstractAsyncContextManager[Any]], ask: Ask, at: Target) -> float:
    started = time.perf_counter()
    async with transaction() as session:
        await ask(session, at)
    return time.perf_counter() - started


def fill(url: str, tenants: int, count: int) -> float:
    """Makes the tenants, the jobs and what hangs on them; seconds it took."""
    started = time.perf_counter()
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("session_replication_role = replica", "synchronous_commit = off"):
            connection.execute(f"SET {setting}".encode())
        for statement in FILL.split(";\n")[:-1] if count else ():
            filled = statement % {"tenants": tenants, "jobs": count}
            connection.execute(filled.encode())
        connection.execute(b"VACUUM (ANALYZE)")
    return time.perf_counter() - started


def explain(found: list[str]) -> Callable[..., None]:
    """Listens to statements and asks for the plan of each before it runs."""
    asking = False

    def listen(connection: Connection, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        nonlocal asking
        if asking or not statement.lstrip().startswith(("SELECT", "INSERT", "UPDATE", "WITH")):
            return
        asking = True
        try:
            lines = connection.exec_driver_sql(f"EXPLAIN {statement}", values).scalars()
            found.extend(lines)
        finally:
            asking = False

    return listen


async def plans(database: Database, name: str, at: Target) -> list[str]:
    """How the application's role runs a query, through both walls."""
    found: list[str] = []
    writes, ask = QUERIES[name]
    listener = explain(found)
    event.listen(database.engine.sync_engine, "before_cursor_execute", listener)
    try:
        async with (database.write if writes else database.read)(at.tenant) as session:
            await ask(session, at)
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", listener)
    return [line for line in found if "Scan" in line]


async def compare(walled: Database, bare: AsyncEngine, name: str, targets: list[Target]) -> tuple[float, float]:
    """Medians in milliseconds, with both walls and without, taken in turn."""
    writes, ask = QUERIES[name]
    kind = WriteSession if writes else ReadSession
    samples: dict[bool, list[float]] = {True: [], False: []}
    for number, at in enumerate(targets):
        for with_walls in (True, False) if number % 2 else (False, True):
            if with_walls:
                took = await seconds(partial(walled.write if writes else walled.read, at.tenant), ask, at)
            elif name in ASKS_FOR_TENANT:
                took = await seconds(partial(plain, bare, kind), ask, at)
            else:
                with without_application_wall():
                    took = await seconds(partial(plain, bare, kind), ask, at)
            if number >= len(targets) // 10:
                samples[with_walls].append(took)
    return statistics.median(samples[True]) * 1000, statistics.median(samples[False]) * 1000


async def measure(app_url: str, admin_url: str, arguments: argparse.Namespace) -> int:
    """Prints the table and the plans; 1 when a plan reads a big table from end to end."""
    walled = Database.connect(app_url)
    # Either pool finds out when the server closed a connection: ours by what begins a transaction, this one by a ping.
    bare = create_async_engine(
        make_url(admin_url).set(drivername="postgresql+psycopg"), pool_pre_ping=not arguments.no_ping
    )
    chance, bad = random.Random(7), 0
    print(f"{'query':<14}{'walls ms':>10}{'bare ms':>10}{'ratio':>8}   (aim {AIM})")
    for name in QUERIES:
        targets = [open_job(chance, arguments.tenants, arguments.jobs) for _ in range(arguments.rounds)]
        with_walls, without = await compare(walled, bare, name, targets)
        print(f"{name:<14}{with_walls:>10.3f}{without:>10.3f}{with_walls / without:>8.2f}")
        for line in await plans(walled, name, targets[0]):
            scanned = any(f"Seq Scan on {table}" in line for table in BIG)
            bad += scanned
            print(f"    {'SEQ SCAN ' if scanned else ''}{line.strip()}")
    await walled.close()
    await bare.dispose()
    return 1 if bad else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=600, help="samples of each query on either side")
    parser.add_argument("--no-ping", action="store_true", help="let the bare pool trust its connections")
    parser.add_argument("--data-dir", type=Path, help="keep the database here and use it again")
    arguments = parser.parse_args()
    clean_up_when_told_to_stop()
    with tempfile.TemporaryDirectory(prefix="aicd-bench-") as scratch:
        root = (arguments.data_dir or Path(scratch)) / "postgres"
        server = EmbeddedPostgres(root, durable=False)
        try:
            admin_url = server.start()
            asyncio.run(migrate(admin_url))
            with psycopg.connect(admin_url) as connection:
                filled = connection.execute("SELECT EXISTS (SELECT FROM organizations)").fetchone()
            if filled is not None and not filled[0]:
                took = fill(admin_url, arguments.tenants, arguments.jobs)
                print(f"{arguments.tenants:,} tenants and {arguments.jobs:,} jobs in {took:.0f} s")
            return asyncio.run(measure(server.url("aicd_app"), admin_url, arguments))
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
