"""A whole Body in the test's process: real database, real sandbox, real git."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aicd_cli.runtime import LocalHosts
from aicd_core.agents.registry import load_agent
from aicd_core.contracts import Agent
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.db.sessions import ReadSession, SystemReadSession
from aicd_core.orchestrator import (
    Control,
    DirectOrder,
    Foreground,
    ForegroundQueue,
    Intake,
    IssueText,
    JobReport,
    Parts,
    Progress,
    read_report,
    wake_for,
)
from aicd_core.settings import Settings
from aicd_core.tenancy import Tenant
from aicd_core.testing.databases import TestUrls, fresh_urls
from isolation_world import World, seed


@dataclass
class Body:
    """Runs jobs as `aicd run` does, on a database of the test's own."""

    database: Database
    system: SystemDatabase
    tenant: Tenant
    settings: Settings
    agents: Callable[[str], Agent] = load_agent
    seen: list[Progress] = field(default_factory=list)

    def parts(self) -> Parts:
        hosts = LocalHosts(self.settings)
        return Parts(self.database, self.system, hosts, self.agents, self.settings, self.seen.append)

    def control(self) -> Control:
        return Control(self.parts(), self.tenant, "test")

    def foreground(self) -> Foreground:
        return Foreground(self.parts(), self.control())

    async def take(self, source: Path, issue: str, *, base: str | None = None, anew: bool = False):
        intake = Intake(self.database, self.tenant)
        host = LocalHosts(self.settings).at(str(source))
        text = IssueText.parse(issue.encode(), max_bytes=self.settings.issue_max_bytes, name="The issue")
        order = DirectOrder("dummy", self.settings.job_time_limit, base, anew)
        return await intake.take(str(source), host, text, order)

    async def drive(self, job) -> JobReport:
        queue = ForegroundQueue()
        await queue.add(wake_for(job))
        await queue.run(self.foreground().handle)
        return await read_report(self.database, self.tenant, job.id)

    async def run(self, source: Path, issue: str, *, base: str | None = None) -> JobReport:
        return await self.drive((await self.take(source, issue, base=base)).job)


@pytest.fixture
def body(database: Database, system: SystemDatabase, tenant: Tenant, tmp_path: Path) -> Body:
    return Body(database, system, tenant, Settings(data_dir=tmp_path / "data", command_timeout=60))


@pytest.fixture(scope="session")
def seeded(postgres_url: str) -> Iterator[tuple[str, World]]:
    """A database with both tenants in it, to be copied, and who they are."""
    with fresh_urls(postgres_url) as urls:
        world = seed(urls.admin)
        yield urls.admin.rpartition("/")[2].partition("?")[0], world


@pytest.fixture
def world(seeded: tuple[str, World]) -> World:
    return seeded[1]


@pytest.fixture
def urls(request: pytest.FixtureRequest, postgres_url: str, seeded: tuple[str, World]) -> Iterator[TestUrls]:
    """A copy of that database of the test's own; for a function that can only read, the database itself."""
    function = getattr(request.node, "callspec", None) and request.node.callspec.params.get("function")
    if function and function.session in {ReadSession, SystemReadSession}:
        yield TestUrls.of(postgres_url, seeded[0])
    else:
        with fresh_urls(postgres_url, seeded[0]) as made:
            yield made
