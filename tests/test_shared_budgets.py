"""Limits that several jobs share hold when they spend at once, whoever dies on the way, and whoever raises them."""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from aicd_core.contracts import Change, ModelReply, ModelRequest, Usage
from aicd_core.db.database import Database
from aicd_core.errors import InvalidInputError, LimitReachedError
from aicd_core.ids import JobId, RepositoryId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.machine import JobState
from aicd_core.jobs.values import NewJob
from aicd_core.orchestrator.budget import Allowance
from aicd_core.orchestrator.records import LeaseLostError, Records
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.organizations.service import edit_settings
from aicd_core.tenancy.organizations.values import SettingsValues
from aicd_core.tenancy.repositories import service as repositories
from aicd_core.tenancy.repositories.repository import ensure_repository
from aicd_core.testing.agents import ScriptedAgent, plan_for
from aicd_core.testing.databases import TestUrls
from aicd_core.usage import repository as ledger
from conftest import Body
from histories import git

ACTOR = Actor(ActorKind.SYSTEM, "test")
AICD = Path(sys.executable).with_name("aicd")
WORST = 100
PROCESSES = 4


@dataclass
class Spender:
    """A job at work: what its step may spend, and where it is booked."""

    records: Records
    database: Database
    tenant: Tenant
    job_id: JobId
    allowance: Allowance

    async def book(self, key: str, cost: int) -> None:
        async with self.database.write(self.tenant) as session:
            await ledger.add_entry(session, self.tenant, self.job_id, key, Usage(cost_micro_usd=cost))


def ask(urls: TestUrls, statement: str, *values: object) -> list[tuple]:
    with psycopg.connect(urls.admin, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


async def settle(database: Database, tenant: Tenant, revision: int = 0, **budgets: int | None) -> None:
    async with database.write(tenant) as session:
        await edit_settings(session, tenant, ACTOR, SettingsValues(**budgets), revision=revision)


async def job_on(database: Database, tenant: Tenant, source: str, title: str) -> tuple[RepositoryId, JobId]:
    async with database.write(tenant) as session:
        repository_id = await ensure_repository(session, tenant, source)
        new = NewJob(repository_id, "dummy", title, title, "main", "a" * 40, 60.0)
        job_id = await jobs.insert_job(session, tenant, new)
    assert job_id is not None
    return repository_id, job_id


def at_work(database: Database, urls: TestUrls, tenant: Tenant, job_id: JobId) -> Spender:
    owner = f"owner of {job_id}"
    ask(urls, "UPDATE jobs SET lease_owner = %s, state = 'coding' WHERE id = %s", owner, job_id)
    records = Records(database, tenant, job_id, owner)
    return Spender(records, database, tenant, job_id, Allowance(records, job_id))


@asynccontextmanager
async def processes(urls: TestUrls) -> AsyncIterator[list[Database]]:
    """Connections as several workers have them."""
    async with AsyncExitStack() as stack:
        made = [Database.connect(urls.app) for _ in range(PROCESSES)]
        for database in made:
            stack.push_async_callback(database.close)
        yield made


async def spenders(urls: TestUrls, tenant: Tenant, databases: list[Database], count: int) -> list[Spender]:
    made = []
    for number in range(count):
        database = databases[number % PROCESSES]
        _, job_id = await job_on(database, tenant, "/srv/shared", f"Issue {number}")
        made.append(at_work(database, urls, tenant, job_id))
    return made


SHARED = pytest.mark.parametrize(
    ("budget", "code"), [("monthly_budget", "monthly_budget"), ("repository_budget", "repository_budget")]
)


@SHARED
async def test_of_many_calls_at_once_only_those_that_fit_together_are_let_through(
    database_urls: TestUrls, tenant: Tenant, budget: str, code: str
):
    async with processes(database_urls) as databases:
        await settle(databases[0], tenant, **{budget: 10 * WORST + WORST - 1})
        crowd = await spenders(database_urls, tenant, databases, 40)
        told, decided = [], asyncio.Event()

        def tell(what: str) -> None:
            told.append(what)
            if len(told) == len(crowd):
                decided.set()

        async def call(spender: Spender) -> None:
            try:
                async with spender.allowance.reserve("call", WORST):
                    tell("held")
                    await decided.wait()
            except LimitReachedError as error:
                tell(error.code)

        await asyncio.gather(*map(call, crowd))
    assert (told.count("held"), told.count(code)) == (10, 30)


@SHARED
async def test_jobs_that_spend_at_once_never_pass_their_limit_and_use_it_up(
    database_urls: TestUrls, tenant: Tenant, budget: str, code: str
):
    most = 20 * WORST
    async with processes(database_urls) as databases:
        await settle(databases[0], tenant, **{budget: most})
        crowd = await spenders(database_urls, tenant, databases, 12)

        async def spend(spender: Spender, dice: random.Random) -> str:
            for number in range(1000):
                try:
                    async with spender.allowance.reserve(f"call/{number}", WORST):
                        if dice.random() < 0.2:
                            raise ConnectionError  # noqa: TRY301 # a call that came to nothing
                        await spender.book(f"call/{number}", dice.randint(1, WORST))
                except LimitReachedError as error:
                    return error.code
                except ConnectionError:
                    continue
            return "never stopped"

        ended = await asyncio.gather(*(spend(one, random.Random(number)) for number, one in enumerate(crowd)))
        assert set(ended) == {code}
        async with databases[0].read(tenant) as session:
            spent = (await ledger.total_of_month(session, tenant)).cost_micro_usd
    assert most - len(crowd) * WORST < spent <= most


async def test_the_sums_that_budgets_are_compared_with_are_those_of_the_ledger(
    database_urls: TestUrls, database: Database, tenant: Tenant, rival: Tenant
):
    for owner in (tenant, rival):
        for source in ("/srv/a", "/srv/b"):
            for issue in ("One", "Two"):
                _, job_id = await job_on(database, owner, source, issue)
                spender = at_work(database, database_urls, owner, job_id)
                await asyncio.gather(*(spender.book(f"{number % 4}", 10 + number) for number in range(8)))
    summed = "SELECT sum(cost_micro_usd) FROM usage_entries e JOIN jobs j ON j.id = e.job_id WHERE e.org_id = s.org_id"
    month = "to_char(e.created_at AT TIME ZONE 'UTC', 'YYYY-MM')"
    wrong = ask(
        database_urls,
        f"""
        SELECT s.subject, s.micro_usd FROM spending s WHERE s.micro_usd <> ({summed} AND s.subject IN (
            'job/' || j.id, 'issue/' || j.repository_id || '/' || j.issue_key,
            'repository/' || j.repository_id || '/' || {month}, 'organization/' || {month}))
        """,
    )
    assert wrong == []
    assert ask(database_urls, "SELECT count(*) FROM spending") == [(2 * (4 + 4 + 2 + 1),)]


async def test_an_issues_jobs_share_one_budget_one_after_the_other(
    database_urls: TestUrls, database: Database, tenant: Tenant
):
    await settle(database, tenant, issue_budget=3 * WORST)
    _, first = await job_on(database, tenant, "/srv/a", "Same")
    await at_work(database, database_urls, tenant, first).book("call", 2 * WORST + 1)
    ask(database_urls, "UPDATE jobs SET state = 'cancelled', lease_owner = NULL")
    _, again = await job_on(database, tenant, "/srv/a", "Same")
    _, other = await job_on(database, tenant, "/srv/a", "Other")
    _, elsewhere = await job_on(database, tenant, "/srv/b", "Same")
    with pytest.raises(LimitReachedError, match=r"org limits --org acme --issue USD; then: aicd resume") as caught:
        async with at_work(database, database_urls, tenant, again).allowance.reserve("call", WORST):
            pass
    assert caught.value.code == "issue_budget"
    for job_id in (other, elsewhere):
        async with at_work(database, database_urls, tenant, job_id).allowance.reserve("call", WORST):
            pass


async def test_what_was_spent_last_month_does_not_count_in_this_one(
    database_urls: TestUrls, database: Database, tenant: Tenant
):
    await settle(database, tenant, monthly_budget=WORST, repository_budget=WORST)
    ask(database_urls, "ALTER TABLE usage_entries ALTER COLUMN created_at SET DEFAULT now() - interval '32 days'")
    _, job_id = await job_on(database, tenant, "/srv/a", "One")
    spender = at_work(database, database_urls, tenant, job_id)
    await spender.book("call", 50 * WORST)
    async with spender.allowance.reserve("another", WORST):
        pass


async def test_what_a_dead_worker_held_back_is_free_when_another_has_its_job(
    database_urls: TestUrls, database: Database, tenant: Tenant
):
    await settle(database, tenant, monthly_budget=WORST)
    _, job_id = await job_on(database, tenant, "/srv/a", "One")
    dead = at_work(database, database_urls, tenant, job_id)
    await dead.records.reserve("call", WORST, ())
    _, second = await job_on(database, tenant, "/srv/a", "Two")
    other = at_work(database, database_urls, tenant, second)
    with pytest.raises(LimitReachedError, match=r"0\.00 USD more may be spent by calls under way"):
        async with other.allowance.reserve("call", WORST):
            pass
    ask(database_urls, "UPDATE jobs SET lease_owner = 'another' WHERE id = %s", job_id)
    async with other.allowance.reserve("call", WORST):
        assert ask(database_urls, "SELECT count(*) FROM reservations") == [(1,)]


async def test_who_lost_the_job_sends_no_call(database_urls: TestUrls, database: Database, tenant: Tenant):
    _, job_id = await job_on(database, tenant, "/srv/a", "One")
    spender = at_work(database, database_urls, tenant, job_id)
    ask(database_urls, "UPDATE jobs SET lease_owner = 'another'")
    with pytest.raises(LeaseLostError):
        async with spender.allowance.reserve("call", WORST):
            pass
    assert ask(database_urls, "SELECT count(*) FROM reservations") == [(0,)]


async def test_a_repository_can_only_tighten_what_its_organization_allows(
    database_urls: TestUrls, database: Database, tenant: Tenant
):
    await settle(database, tenant, issue_budget=10 * WORST)
    repository_id, job_id = await job_on(database, tenant, "/srv/a", "One")
    limits = {"issue_budget": 10 * WORST + 1, "monthly_budget": None}
    with pytest.raises(InvalidInputError, match="only tighten") as caught:
        async with database.write(tenant) as session:
            await repositories.limit(session, tenant, ACTOR, repository_id, revision=1, **limits)
    assert caught.value.code == "looser_budget"
    async with database.write(tenant) as session:
        limits = {"issue_budget": WORST, "monthly_budget": 5 * WORST}
        await repositories.limit(session, tenant, ACTOR, repository_id, revision=1, **limits)
    spender = at_work(database, database_urls, tenant, job_id)
    with pytest.raises(LimitReachedError, match="--repo /srv/a --issue USD"):
        async with spender.allowance.reserve("call", WORST + 1):
            pass
    await settle(database, tenant, revision=1, issue_budget=WORST // 2)
    with pytest.raises(LimitReachedError, match="--org acme --issue USD"):
        async with spender.allowance.reserve("call", WORST):
            pass


class Paying(ScriptedAgent):
    """Makes three calls while it codes; each costs 30 micro-USD and could cost 100."""

    async def code(self, task, plan, feedback, workspace, session) -> Change:
        async def send() -> ModelReply:
            return ModelReply(content=b"ok", usage=Usage(output_tokens=1, cost_micro_usd=30))

        for number in range(3):
            await session.journal.call(ModelRequest(model="m", content=b"%d" % number), send, worst_case=WORST)
        await workspace.write("new.txt", b"new\n")
        return Change(summary="Done.")


def aicd(body: Body, urls: TestUrls, *arguments: str) -> subprocess.CompletedProcess[str]:
    databases = {"AICD_DATABASE_URL": urls.app, "AICD_SYSTEM_DATABASE_URL": urls.system}
    return subprocess.run(
        [str(AICD), "org", "limits", "--org", "acme", *arguments, "--data-dir", str(body.settings.data_dir)],
        env={"PATH": os.environ["PATH"], "HOME": str(body.settings.data_dir), **databases},
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.parametrize(
    ("option", "code"),
    [("--issue", "issue_budget"), ("--repository", "repository_budget"), ("--month", "monthly_budget")],
)
async def test_a_job_pauses_at_a_shared_limit_says_which_and_goes_on_when_it_is_raised(
    body: Body, tmp_path: Path, database_urls: TestUrls, option: str, code: str
):
    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "-q")
    (source / ".aicd.yml").write_text("version: 1\ntests: []\n")
    git(source, "add", ".")
    git(source, "commit", "-qm", "Begin")
    agent = Paying(plans=[lambda task: plan_for(task.base_sha, "new.txt")], codes=[])
    body.agents = lambda name: agent
    done = await asyncio.to_thread(aicd, body, database_urls, option, "0.00015")
    assert done.returncode == 0, done.stderr
    report = await body.run(source, "Spend")
    assert (report.job.state, report.job.code) == (JobState.PAUSED, code)
    assert f"aicd org limits --org acme {option} USD" in (report.job.reason or "")
    assert report.usage.cost_micro_usd == 60
    lower = await asyncio.to_thread(aicd, body, database_urls, "--job", "1", "--json")
    assert json.loads(lower.stdout)["resumed"] == [], lower.stderr
    raised = await asyncio.to_thread(aicd, body, database_urls, option, "0.5")
    assert f"Job {report.job.id} goes on." in raised.stdout, raised.stderr
    report = await body.drive(await body.control()._job(report.job.id))
    assert report.job.state is JobState.PR_OPEN
    assert report.usage.cost_micro_usd == 90, "nothing that was answered is paid again"
    assert ask(database_urls, "SELECT count(*) FROM reservations") == [(0,)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--issue", "much"], "'much' is no limit"),
        (["--month", "-1"], "'-1' is no limit"),
        (["--month", "0.0000001"], "at most six decimals"),
        (["--month", "1e10"], "it may be 0 to 1,000,000,000 US dollars"),
        (["--month", "NaN"], "is no limit"),
        (["--month", "1e999999"], "is no limit"),
        (["--month", "1e99999"], "is no limit"),
        (["--repo", "/srv/unknown", "--issue", "1"], "No job has run on a repository '/srv/unknown'"),
        (["--repo", "/srv/unknown", "--month", "1"], "can be limited"),
    ],
)
async def test_a_limit_that_cannot_be_one_is_refused(
    body: Body, database_urls: TestUrls, arguments: list[str], said: str
):
    done = await asyncio.to_thread(aicd, body, database_urls, *arguments)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("amount", ["-1", "nan", "inf", "1e300"])
def test_a_jobs_budget_that_cannot_be_one_is_refused(tmp_path, amount: str):
    job = "01a20a19-b883-7345-9527-cba0433a3c7f"
    done = subprocess.run([AICD, "resume", job, "--budget", amount, "--data-dir", tmp_path], capture_output=True)
    assert done.returncode == 2
    assert b"Invalid value for '--budget'" in done.stderr
