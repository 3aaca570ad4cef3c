"""Who gets the next free place: fair between organizations, within the limit of each, by priority, then age."""

import asyncio
import subprocess
import sys
from dataclasses import replace

import psycopg
import pytest

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.ids import JobId, RepositoryId
from aicd_core.jobs.leases import repository as leases
from aicd_core.jobs.leases.values import Demand, Renewal, Taken
from aicd_core.orchestrator.intake import INTAKE
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.service import edit_settings
from aicd_core.tenancy.organizations.values import SettingsValues
from aicd_core.tenancy.repositories.service import take_up
from aicd_core.testing.databases import TestUrls

MANY = """
    INSERT INTO jobs (id, org_id, repository_id, state, version, round, plan_attempts, agent, title, body, issue_key,
        base_branch, base_sha, seconds_worked, time_limit, priority)
    SELECT uuidv7(), %s, %s, 'queued', 0, 0, 0, 'dummy', 't', 'b', uuidv7()::text, 'main', 'sha', 0, 60, %s
    FROM generate_series(1, %s) ORDER BY 1 RETURNING id
"""
HISTORY = """
    CREATE TABLE lease_history (id bigserial, org_id uuid, job_id uuid, change int);
    CREATE FUNCTION note_lease() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        INSERT INTO public.lease_history (org_id, job_id, change) VALUES
            (new.org_id, new.id, (new.lease_owner IS NOT NULL)::int - (old.lease_owner IS NOT NULL)::int);
        RETURN NULL;
    END $$;
    CREATE TRIGGER note_lease AFTER UPDATE OF lease_owner ON jobs FOR EACH ROW EXECUTE FUNCTION note_lease();
"""
MOST_AT_ONCE = """
    SELECT max(held) FROM (SELECT sum(change) OVER (PARTITION BY org_id ORDER BY id) AS held FROM lease_history) h
"""
ADMITTER = """
import asyncio, sys
from aicd_core.db.database import SystemDatabase
from aicd_core.jobs.leases import repository as leases
from aicd_core.jobs.leases.values import Demand, Renewal

async def admit(system, name):
    for turn in range(25):
        taken = await leases.take(system.courier(), Demand([f"{name}/{turn}/{n}" for n in range(2)], 600.0))
        await asyncio.sleep(0)
        for one in taken:
            await leases.release(system.courier(), Renewal(one.job.id, one.owner, 0.0))

async def main():
    system = SystemDatabase.connect(sys.argv[1], pool_size=6)
    await asyncio.gather(*(admit(system, f"{sys.argv[2]}/{task}") for task in range(6)))
    await system.close()

asyncio.run(main())
"""


def queue(urls: TestUrls, tenant: Tenant, repository_id: RepositoryId, count: int, priority: int = 0) -> list[JobId]:
    with psycopg.connect(urls.admin) as connection:
        rows = connection.execute(MANY, (tenant.org_id, repository_id, priority, count)).fetchall()
        return sorted(row[0] for row in rows)


async def connect(database: Database, tenant: Tenant, source: str = "/srv/one") -> RepositoryId:
    async with database.write(tenant) as session:
        return await take_up(session, tenant, INTAKE, source)


async def limit(database: Database, tenant: Tenant, jobs: int) -> None:
    async with database.write(tenant) as session:
        await edit_settings(session, tenant, INTAKE, replace(SettingsValues(), max_concurrent_jobs=jobs), revision=0)


async def take(system: SystemDatabase, count: int = 1, name: str = "worker") -> list[Taken]:
    return await leases.take(system.courier(), Demand([f"{name}/{number}" for number in range(count)], 600.0))


async def give_back(system: SystemDatabase, taken: Taken) -> None:
    await leases.release(system.courier(), Renewal(taken.job.id, taken.owner, 0.0))


def execute(urls: TestUrls, statement: str) -> list[tuple]:
    with psycopg.connect(urls.admin) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


async def test_a_queue_of_five_thousand_delays_nobody_elses_first_job(
    database: Database, system: SystemDatabase, database_urls: TestUrls, tenant: Tenant, rival: Tenant
):
    queue(database_urls, tenant, await connect(database, tenant), 5000)
    working = await take(system, 3)  # all the places that there are
    (late,) = queue(database_urls, rival, await connect(database, rival), 1)
    await give_back(system, working[0])  # the first to end
    (next_one,) = await take(system)
    assert next_one.job.id == late


async def test_free_places_are_dealt_out_in_turn(
    database: Database, system: SystemDatabase, database_urls: TestUrls, tenant: Tenant, rival: Tenant
):
    for one in (tenant, rival):
        queue(database_urls, one, await connect(database, one), 100)
        await limit(database, one, 10)
    taken = await take(system, 8)
    assert [sum(one.tenant == whose for one in taken) for whose in (tenant, rival)] == [4, 4]


async def test_a_limit_is_kept_however_many_admitters_ask_at_once(
    database: Database, system: SystemDatabase, database_urls: TestUrls, tenant: Tenant, rival: Tenant
):
    """Four processes with six tasks each; the database itself writes down what they hold."""
    for one in (tenant, rival):
        queue(database_urls, one, await connect(database, one), 200)
        await limit(database, one, 3)
    execute(database_urls, HISTORY)
    command = [sys.executable, "-c", ADMITTER, database_urls.system]
    admitters = [subprocess.Popen([*command, f"process-{number}"]) for number in range(4)]
    assert [await asyncio.to_thread(admitter.wait, 120) for admitter in admitters] == [0] * 4
    assert execute(database_urls, MOST_AT_ONCE) == [(3,)]
    assert execute(database_urls, "SELECT sum(change) FROM lease_history") == [(0,)]


async def test_a_limit_of_none_stops_an_organization_and_no_other(
    database: Database, system: SystemDatabase, database_urls: TestUrls, tenant: Tenant, rival: Tenant
):
    for one in (tenant, rival):
        queue(database_urls, one, await connect(database, one), 3)
    await limit(database, tenant, 1)
    assert [one.tenant for one in await take(system, 6)].count(tenant) == 1
    assert await take(system, 6, "another") == []


async def test_what_was_begun_goes_first_then_priority_then_age(
    database: Database, system: SystemDatabase, database_urls: TestUrls, tenant: Tenant
):
    repository_id = await connect(database, tenant)
    old, young = queue(database_urls, tenant, repository_id, 2)
    (low,) = queue(database_urls, tenant, repository_id, 1, priority=-1)
    (high,) = queue(database_urls, tenant, repository_id, 1, priority=5)
    (begun,) = queue(database_urls, tenant, repository_id, 1, priority=-50)
    execute(database_urls, f"UPDATE jobs SET state = 'coding', version = 2 WHERE id = '{begun}'")
    assert [(await take(system, 1, name))[0].job.id for name in "abcde"] == [begun, high, old, young, low]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE organizations SET deleted_at = now()",
        "UPDATE repositories SET enabled = false",
        "UPDATE repositories SET disconnected_at = now()",
    ],
    ids=["deleted organization", "repository switched off", "repository disconnected"],
)
async def test_nothing_is_taken_where_nobody_wants_it_any_more(
    database: Database, system: SystemDatabase, database_urls: TestUrls, tenant: Tenant, statement: str
):
    queue(database_urls, tenant, await connect(database, tenant), 1)
    execute(database_urls, statement)
    assert await take(system) == []


async def test_a_job_that_waits_for_its_next_attempt_is_taken_only_by_name(
    database: Database, system: SystemDatabase, database_urls: TestUrls, tenant: Tenant
):
    (job_id,) = queue(database_urls, tenant, await connect(database, tenant), 1)
    execute(database_urls, "UPDATE jobs SET not_before = now() + interval '1 hour'")
    assert await take(system) == []
    (taken,) = await leases.take(system.courier(), Demand(["me"], 600.0, only=job_id))
    assert taken.job.id == job_id
