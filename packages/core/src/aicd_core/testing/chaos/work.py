"""Jobs for an installation: what is asked for, and how it gets there."""

import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aicd_core.contracts import Wake
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.values import NewJob
from aicd_core.orchestrator.intake import INTAKE
from aicd_core.queues.open import open_queue
from aicd_core.tenancy.organizations.service import edit_settings, ensure_organization, get_settings
from aicd_core.tenancy.organizations.values import SettingsValues
from aicd_core.tenancy.repositories.service import take_up
from aicd_core.testing.chaos.installation import Installation
from aicd_core.testing.journaled import NAME, Script, journaled_issue


@dataclass(frozen=True)
class Order:
    """One job that is wanted."""

    body: str
    organization: str = "local"
    time_limit: float = 7200
    priority: int = 0

    @property
    def title(self) -> str:
        return self.body.split("\n", 1)[0]


def scripted(model: str, count: int, chance: random.Random, organizations: Sequence[str]) -> Iterator[Order]:
    """So many orders of different lengths: up to three turns in each round, up to two rejections."""
    for number in range(count):
        command = chance.choice((None, "sleep 0.2"))
        script = Script(model, turns=chance.randint(1, 3), rejections=chance.choice((0, 0, 1, 2)), command=command)
        yield Order(journaled_issue(f"Diary {number}", script), chance.choice(organizations))


async def place(installation: Installation, orders: Sequence[Order]) -> list[JobId]:
    """Makes the jobs and sends for workers; returns their ids, in the same order."""
    base = installation.git("rev-parse", "main").decode().strip()
    redis_url = installation.redis.url if installation.redis else None
    made = []
    async with _connected(installation) as (database, system), open_queue(system, redis_url, concurrency=1) as queue:
        for order in orders:
            async with system.write() as session:
                tenant = await ensure_organization(session, order.organization)
            async with database.write(tenant) as session:
                repository_id = await take_up(session, tenant, INTAKE, str(installation.source))
            what = (repository_id, NAME, order.title, order.body, "main", base, order.time_limit, order.priority)
            job_id = await jobs.insert_job(database.courier(tenant), tenant, NewJob(*what), wake=redis_url is None)
            assert job_id is not None, "the titles differ"
            if redis_url is not None:
                await queue.add(Wake(org_id=tenant.org_id, job_id=job_id, key=f"{job_id}-queued-0"))
            made.append(job_id)
    return made


async def settle(installation: Installation, values: SettingsValues, organization: str = "local") -> None:
    """Replaces the settings of an organization, which is made if need be."""
    async with _connected(installation) as (database, system):
        async with system.write() as session:
            tenant = await ensure_organization(session, organization)
        async with database.write(tenant) as session:
            revision = (await get_settings(session, tenant)).revision
            await edit_settings(session, tenant, INTAKE, values, revision=revision)


@asynccontextmanager
async def _connected(installation: Installation) -> AsyncIterator[tuple[Database, SystemDatabase]]:
    database = Database.connect(installation.urls.app)
    system = SystemDatabase.connect(installation.urls.system)
    try:
        yield database, system
    finally:
        await database.close()
        await system.close()
