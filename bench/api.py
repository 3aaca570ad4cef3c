"""How fast the API answers with all its walls, against bare FastAPI routes with the same SQL, in the same run.

    .venv/bin/python bench/api.py [--requests N] [--connections N] [--rounds N] [--jobs N]

Ours is `aicd serve`: API key, permission, rate limits (counted, and set too high to be met), time and size limits,
security headers, both walls between tenants, and for a new job the audit entry. The floor is FastAPI under the same
uvicorn with one route for each of the three, which runs the same SQL of the work itself in one plain transaction as
the superuser and answers with the same model; a new job's also asks git for the same branch. Each is a process of its
own, on one embedded Postgres that syncs to the disk. Get one of the jobs; list 20 of them; create one. Rounds are
interleaved; figures are medians of the rounds, the aim is 0.6 of the floor. Exits with 1 when a request was not
answered as it should be.
"""

import argparse
import asyncio
import json
import logging
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
import uvicorn
from fastapi import FastAPI
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from aicd_backend.answers import JobAnswer
from aicd_backend.paging import PageOf, page_of
from aicd_backend.routes.jobs import NewJobBody
from aicd_backend.testing.job_recipes import repository, source
from aicd_backend.testing.world import SYSTEM, World, enter_world, make_organizations
from aicd_cli.hosts import Hosts
from aicd_core.db.database import Database
from aicd_core.db.pages import PageRequest
from aicd_core.db.sessions import WriteSession
from aicd_core.ids import JobId, OrgId, RepositoryId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.lists.repository import find_jobs
from aicd_core.jobs.lists.values import JobFilter
from aicd_core.orchestrator import Dispatch, Intake, IssueText, Order
from aicd_core.settings import Settings
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.repositories.service import require_repository
from aicd_core.testing.chaos.installation import AICD, wait_until
from aicd_core.testing.databases import TestUrls, fresh_urls, migrated_server, opened

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
AIM = 0.6
LIMIT = 10**9
SHOWN = 20
STATUS = {"get": b"200", "list": b"200", "create": b"201"}
FILL = b"""
INSERT INTO jobs (id, org_id, repository_id, state, version, round, plan_attempts, agent, title, body, issue_key,
                  base_branch, base_sha, seconds_worked, time_limit)
    SELECT ('00000003-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, %(org)s, %(repository)s, 'merged', 2, 0, 0,
           'dummy', 'Title ' || n, repeat('body ', 40), lpad(n::text, 64, '0'), 'main', repeat('a', 40), 0, 3600
    FROM generate_series(0, %(jobs)s - 1) n
"""


@dataclass(frozen=True)
class Given:
    """What both servers are asked about."""

    urls: TestUrls
    token: str
    org_id: OrgId
    repository_id: RepositoryId
    jobs: int


@dataclass(frozen=True)
class Burst:
    """What came of one burst: requests per second, milliseconds to the answer, and how many were answered otherwise."""

    rate: float
    p50: float
    p99: float
    wrong: int


async def prepare(urls: TestUrls, count: int) -> Given:
    """An organization with so many jobs, and a key that may do everything there."""
    async with opened(urls) as (database, system):
        orgs = await make_organizations(database, system)
        async with enter_world(database, system, *orgs) as world:
            given = await _given(world, urls, count)
    with psycopg.connect(urls.admin) as connection:
        connection.execute(FILL, {"org": given.org_id, "repository": given.repository_id, "jobs": count})
        connection.execute("UPDATE api_keys SET last_used_at = now()")
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return given


async def _given(world: World, urls: TestUrls, count: int) -> Given:
    issued, place = await world.make_key(), await repository(world, world.us)
    return Given(urls, issued.token.reveal(), world.us.tenant.org_id, place, count)


def requests(given: Given, kind: str, count: int) -> list[bytes]:
    """Whole HTTP requests, made beforehand; those of the floor are the same."""
    base, made = "/v1/organizations/acme/jobs", []
    for _ in range(count):
        number = random.randrange(given.jobs)
        body = ""
        path = {"get": f"{base}/00000003-0000-7000-8000-{number:012x}", "list": f"{base}?limit={SHOWN}"}.get(kind, base)
        if kind == "create":
            body = json.dumps(
                {"repository_id": str(given.repository_id), "issue": f"Greet {random.randbytes(8).hex()}"}
            )
        head = (
            f"{'POST' if body else 'GET'} {path} HTTP/1.1",
            "Host: 127.0.0.1",
            f"Authorization: Bearer {given.token}",
        )
        kind_of_body = ("Content-Type: application/json", f"Content-Length: {len(body)}")
        made.append("\r\n".join((*head, *kind_of_body, "", body)).encode())
    return made


async def burst(port: int, wanted: Sequence[bytes], connections: int, status: bytes) -> Burst:
    """Sends all, each connection one after the other."""
    left, times, wrong = iter(wanted), list[float](), 0

    async def connection() -> None:
        nonlocal wrong
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in left:
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            found = LENGTH.search(head)
            body = await reader.readexactly(int(found[1]) if found else 0)
            times.append(1000 * (time.perf_counter() - began))
            wrong += head.split(b" ", 2)[1] != status or not body.startswith(b'{"i')
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(connections)))
    rate = len(wanted) / (time.perf_counter() - began)
    ordered = sorted(times)
    return Burst(rate, statistics.median(ordered), ordered[len(ordered) * 99 // 100], wrong)


def floor_app(url: str, org_id: OrgId) -> FastAPI:
    """Bare routes; whoever asks gets everything."""
    app, tenant = FastAPI(openapi_url=None), Tenant(org_id)
    engine = create_async_engine(make_url(url).set(drivername="postgresql+psycopg"), pool_size=5, max_overflow=0)
    settings = Settings()
    hosts, intake = Hosts(settings), Intake(Database.connect(url), tenant, Dispatch(in_statement=True))

    @asynccontextmanager
    async def begun() -> AsyncIterator[WriteSession]:
        async with WriteSession(engine, expire_on_commit=False) as session, session.begin():
            yield session

    @app.get("/v1/organizations/{org}/jobs/{job_id}")
    async def get_one(org: str, job_id: UUID) -> JobAnswer:  # noqa: ARG001 - the same path
        async with begun() as session:
            found = await jobs.get_job(session, tenant, JobId(job_id))
        assert found is not None
        return JobAnswer.of(found)

    @app.get("/v1/organizations/{org}/jobs")
    async def list_some(org: str, limit: int) -> PageOf[JobAnswer]:  # noqa: ARG001
        async with begun() as session:
            return page_of(await find_jobs(session, tenant, PageRequest(limit), JobFilter()), JobAnswer.of)

    @app.post("/v1/organizations/{org}/jobs", status_code=201)
    async def create_one(org: str, new: NewJobBody) -> JobAnswer:  # noqa: ARG001
        assert new.repository_id is not None
        async with begun() as session:
            place = (await require_repository(session, tenant, RepositoryId(new.repository_id))).source
        base = await hosts.at(place, tenant).find_base(None)
        issue = IssueText.parse((new.issue or "").encode(), max_bytes=10**6, name="The issue")
        async with begun() as session:
            order = Order(None, settings.agent, settings.job_time_limit, asks_approval=False, origin={})
            taken = await intake.enter(session, place, base, issue, order)
            await record(session, tenant, SYSTEM, "job.created", "job", str(taken.job.id), {})
        return JobAnswer.of(taken.job)

    return app


def serve_floor(url: str, org_id: str) -> None:
    """The floor's process; it logs as ours does."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    app = floor_app(url, OrgId(UUID(org_id)))
    uvicorn.run(app, host="127.0.0.1", port=0, ws="none", log_config=None, server_header=False)


@contextmanager
def started(command: Sequence[str], environment: dict[str, str], log: Path) -> Iterator[int]:
    """A server process and its port."""
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, env=environment, stderr=stderr)
    try:
        wait_until(lambda: ADDRESS.search(log.read_text()) is not None or process.poll() is not None, "a server")
        found = ADDRESS.search(log.read_text())
        assert found is not None, log.read_text()
        yield int(found[1])
    finally:
        process.terminate()
        process.wait()


@contextmanager
def both(root: Path, given: Given) -> Iterator[dict[str, int]]:
    """Ours and the floor; their ports."""
    limits = {f"AICD_RATE_LIMIT_{name}": str(LIMIT) for name in ("ADDRESS", "CREDENTIAL", "LOGIN")}
    shared = {"PATH": os.environ["PATH"], "HOME": str(root), "AICD_DATA_DIR": str(root / "data")}
    databases = {"AICD_DATABASE_URL": given.urls.app, "AICD_SYSTEM_DATABASE_URL": given.urls.system}
    floor = [sys.executable, __file__, "--serve-floor", given.urls.admin, str(given.org_id)]
    ours = [str(AICD), "serve", "--port", "0"]
    with (
        started(ours, {**shared, **databases, **limits}, root / "ours.log") as our_port,
        started(floor, shared, root / "floor.log") as floor_port,
    ):
        yield {"floor": floor_port, "ours": our_port}


def race(ports: dict[str, int], given: Given, options: argparse.Namespace) -> bool:
    """Interleaved rounds of both, for each kind of request; whether everything was answered as it should be."""
    found: dict[tuple[str, str], list[Burst]] = {}
    for number in range(options.rounds + 1):
        for kind, status in STATUS.items():
            for name in random.sample(list(ports), len(ports)):
                count = options.requests // (5 if kind == "create" else 1)
                wanted = requests(given, kind, count if number else count // 5)
                told = asyncio.run(burst(ports[name], wanted, options.connections, status))
                if number:  # the first round warms up
                    found.setdefault((kind, name), []).append(told)
    for kind in STATUS:
        rate, p50, p99 = (
            {name: statistics.median(getattr(told, part) for told in found[kind, name]) for name in ports}
            for part in ("rate", "p50", "p99")
        )
        ratio = rate["ours"] / rate["floor"]
        print(
            f"{kind:6}  floor {rate['floor']:5.0f}/s, ours {rate['ours']:5.0f}/s: {ratio:.2f} of the floor "
            f"(aim {AIM}: {'met' if ratio >= AIM else 'MISSED'}); p50 {p50['floor']:.1f} and {p50['ours']:.1f} ms; "
            f"p99 {p99['floor']:.1f} and {p99['ours']:.1f} ms, {p99['ours'] / p99['floor']:.2f} times"
        )
    wrong = sum(told.wrong for bursts in found.values() for told in bursts)
    print(f"{wrong} answered wrongly")
    return wrong == 0


def main() -> int:
    """0 when every request was answered as it should be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=1000, help="in a round; a fifth of them to create")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--serve-floor", nargs=2, metavar=("URL", "ORG"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_floor:
        serve_floor(*options.serve_floor)
        return 0
    with (
        tempfile.TemporaryDirectory(prefix="aicd-bench-") as root,
        migrated_server(Path(root) / "server", durable=True) as server,
        fresh_urls(server) as urls,
    ):
        given = asyncio.run(prepare(urls, options.jobs))
        print(f"{options.jobs:,} jobs of {source()}, {options.connections} connections, {options.rounds} rounds")
        with both(Path(root), given) as ports:
            return 0 if race(ports, given, options) else 1


if __name__ == "__main__":
    sys.exit(main())
