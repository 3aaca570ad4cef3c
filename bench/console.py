"""What the console's pages cost against the same SQL alone, in the same run.

    .venv/bin/python bench/console.py [--rounds N] [--jobs N] [--log-lines N] [--diff-lines N]

Each page is asked for over the application itself, with all its walls: a login's cookie, permission, limits, security
headers, template. The floor is the SQL of the page's content alone, by the core's own functions in one read transaction
as the application's role, in the same process and on the same embedded Postgres. Pages: the first of 10,000 jobs, a
search among them that finds one, usage and outcomes of 30 days, a window at the end of a 20,000-line log, and the first
and the last part of a 5,000-line diff. Rounds are interleaved; figures are medians. Exits with 1 when a page is not
answered, or shows more than its part: then its size would grow with what there is.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from aicd_backend.testing.job_recipes import OWNER, RESULTS, SHA, make_job, repository
from aicd_backend.testing.world import World, enter_world, make_organizations, settings_under_test
from aicd_core.contracts import Change, ChangeSet, CodedChange, TestLogs, TestReport
from aicd_core.contracts.change import FileChange, FileOp
from aicd_core.contracts.evidence import CommandLog, CommandResult
from aicd_core.contracts.values import Value
from aicd_core.db.pages import PageRequest
from aicd_core.db.sessions import ReadSession
from aicd_core.ids import JobId
from aicd_core.jobs.artifacts.repository import get_artifact, store_artifact
from aicd_core.jobs.lists.repository import count_outcomes, find_jobs
from aicd_core.jobs.lists.values import JobFilter
from aicd_core.jobs.models import ArtifactKind
from aicd_core.tenancy.permissions import Role
from aicd_core.testing.databases import fresh_urls, migrated_server, opened
from aicd_core.testing.leases import take_lease
from aicd_core.usage import repository as ledger

LIMIT = 10**9
BYTES_MOST = 400_000
"""Of a page that shows a part: some hundred lines with their markup."""
COMMAND = "make test"
FILL = b"""
INSERT INTO jobs (id, org_id, repository_id, state, version, round, plan_attempts, agent, title, body, issue_key,
                  base_branch, base_sha, seconds_worked, time_limit)
    SELECT ('00000003-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, %(org)s, %(repository)s, 'merged', 2, 0, 0,
           'dummy', 'Title ' || n, repeat('body ', 40), lpad(n::text, 64, '0'), 'main', repeat('a', 40), 0, 3600
    FROM generate_series(0, %(jobs)s - 1) n;
INSERT INTO job_events (org_id, job_id, version, event, state, detail)
    SELECT org_id, id, 1, 'published', 'pr_open', '{}' FROM jobs WHERE org_id = %(org)s;
INSERT INTO usage_entries (org_id, job_id, entry_key, input_tokens, cached_input_tokens, cache_write_tokens,
                           output_tokens, cost_micro_usd, created_at)
    SELECT org_id, id, 'call', 1000, 0, 0, 100, 5000, now() - (random() * interval '29 days')
    FROM jobs WHERE org_id = %(org)s
"""
Sql = Callable[[ReadSession], Awaitable[object]]


@dataclass(frozen=True)
class Shown:
    """A page and the SQL of its content. `part`: it shows some of a long thing."""

    path: str
    sql: Sql
    part: bool = False


def results(log_lines: int, diff_lines: int) -> Mapping[ArtifactKind, Value]:
    """What a job came to that printed and changed a lot."""
    lines = "".join(f"+line {number} of a generated file\n" for number in range(diff_lines))
    header = "diff --git a/big.txt b/big.txt\nnew file mode 100644\n--- /dev/null\n+++ b/big.txt\n"
    patch = f"{header}@@ -0,0 +1,{diff_lines} @@\n"
    file = FileChange(path="big.txt", op=FileOp.CREATE, new_mode="100644", added_lines=diff_lines)
    change = ChangeSet(base_sha=SHA, tree_sha="d" * 40, files=(file,), patch=(patch + lines).encode())
    printed = "".join(f"{number}: test_something_{number} ... ok\n" for number in range(log_lines)).encode()
    result = CommandResult(command=COMMAND, exit_code=0, output="…", duration=1, truncated_bytes=len(printed))
    return {
        **RESULTS,
        ArtifactKind.CHANGE: CodedChange(change=Change(summary="Much."), change_set=change),
        ArtifactKind.TEST_REPORT: TestReport(tests=(result,)),
        ArtifactKind.TEST_LOGS: TestLogs(logs=(CommandLog(command=COMMAND, content=zlib.compress(printed)),)),
    }


async def large_job(world: World, options: argparse.Namespace) -> JobId:
    """A job with those results."""
    job = await make_job(world, world.us)
    assert await take_lease(world.stores.system, job, OWNER)
    async with world.stores.database.write(world.us.tenant) as session:
        for kind, value in results(options.log_lines, options.diff_lines).items():
            await store_artifact(session, world.us.tenant, job, OWNER, kind, 1, value.model_dump_json().encode())
    return job


def pages(world: World, job: JobId) -> dict[str, Shown]:
    """What is asked for, by name."""
    tenant, now = world.us.tenant, datetime.now(UTC)
    span = (now - timedelta(days=29), now + timedelta(days=1))

    async def usage(session: ReadSession) -> None:
        for total in (ledger.totals_by_day, ledger.totals_by_repository, ledger.totals_by_model):
            await total(session, tenant, *span)
        await count_outcomes(session, tenant, *span)

    def listed(wanted: JobFilter) -> Sql:
        return lambda session: find_jobs(session, tenant, PageRequest(25), wanted)

    def stored(kind: ArtifactKind) -> Sql:
        return lambda session: get_artifact(session, tenant, job, kind)

    diff = stored(ArtifactKind.CHANGE)
    return {
        "jobs": Shown("jobs", listed(JobFilter()), part=True),
        "search": Shown("jobs?q=Title+4321", listed(JobFilter(words="Title 4321")), part=True),
        "usage": Shown("usage", usage),
        "log's end": Shown(f"jobs/{job}/tests/log?line=-1", stored(ArtifactKind.TEST_LOGS), part=True),
        "diff, part 1": Shown(f"jobs/{job}/changes", diff, part=True),
        "diff, last": Shown(f"jobs/{job}/changes?part=99", diff, part=True),
    }


async def race(world: World, shown: Mapping[str, Shown], rounds: int) -> bool:
    """Interleaved rounds; prints the figures, and whether every page was answered in its size."""
    cookie = {"Cookie": (await world.as_role(Role.OWNER))["Cookie"]}
    times: dict[tuple[str, str], list[float]] = {}
    good = True
    for number in range(rounds + 1):
        for name in random.sample(list(shown), len(shown)):
            page = shown[name]
            began = time.perf_counter()
            async with world.stores.database.read(world.us.tenant) as session:
                await page.sql(session)
            asked = time.perf_counter()
            answer = await world.client.get(f"/console/acme/{page.path}", headers=cookie)
            ended = time.perf_counter()
            if number:  # the first round warms up
                times.setdefault((name, "sql"), []).append(1000 * (asked - began))
                times.setdefault((name, "page"), []).append(1000 * (ended - asked))
            if answer.status_code != 200 or (page.part and len(answer.content) > BYTES_MOST):
                print(f"{name}: {answer.status_code}, {len(answer.content):,} bytes")
                good = False
            elif number == rounds:
                sql, whole = (statistics.median(times[name, kind]) for kind in ("sql", "page"))
                size = len(answer.content) / 1000
                print(f"{name:13} SQL {sql:7.1f} ms, page {whole:7.1f} ms: {whole / sql:5.1f} times, {size:4.0f} kB")
    return good


async def measure(options: argparse.Namespace, server: str) -> bool:
    """Fills a database and measures."""
    with fresh_urls(server) as urls:
        async with opened(urls) as (database, system):
            settings = settings_under_test().model_copy(
                update={"rate_limit_address": LIMIT, "rate_limit_credential": LIMIT}
            )
            orgs = await make_organizations(database, system)
            async with enter_world(database, system, *orgs, settings) as world:
                given = {"org": world.us.tenant.org_id, "repository": await repository(world, world.us)}
                with psycopg.ClientCursor(psycopg.connect(urls.admin, autocommit=True)) as cursor:
                    cursor.execute(FILL, {**given, "jobs": options.jobs})
                    cursor.execute("VACUUM ANALYZE")
                job = await large_job(world, options)
                return await race(world, pages(world, job), options.rounds)


def main() -> int:
    """0 when every page was answered, and none is longer than its part."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--log-lines", type=int, default=20_000)
    parser.add_argument("--diff-lines", type=int, default=5_000)
    options = parser.parse_args()
    print(f"{options.jobs:,} jobs, {options.log_lines:,} lines of a log, {options.diff_lines:,} of a diff")
    with (
        tempfile.TemporaryDirectory(prefix="aicd-bench-") as root,
        migrated_server(Path(root) / "server", durable=True) as server,
    ):
        return 0 if asyncio.run(measure(options, server)) else 1


if __name__ == "__main__":
    sys.exit(main())
