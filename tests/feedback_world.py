"""A job with a pull request that is talked about, for tests."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aicd_core.agents.dummy import DummyAgent
from aicd_core.agents.registry import load_agent
from aicd_core.contracts import Agent, Change, OutsideFeedback
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.jobs.artifacts import repository as artifacts
from aicd_core.jobs.models import ArtifactKind
from aicd_core.tenancy import Tenant
from github_town import Following, GitHub, following, serving


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GitHub]:
    with serving(tmp_path) as made:
        yield made


@pytest.fixture
def job(github: GitHub, database: Database, system: SystemDatabase, tenant: Tenant, tmp_path: Path) -> Following:
    return following(github, database, system, tenant, tmp_path / "data", load_agent)


def diff(old: str, new: str) -> str:
    """A comment that has the middle line replaced."""
    return f"```diff\n--- a/greet.txt\n+++ b/greet.txt\n@@ -1,3 +1,3 @@\n one\n-{old}\n+{new}\n three\n```\n"


async def feedback_of(job: Following, number: int) -> OutsideFeedback:
    """What a round was given, as it is stored."""
    assert job.job_id is not None
    courier = job.database.courier(job.tenant)
    content = await artifacts.get_artifact(courier, job.tenant, job.job_id, ArtifactKind.FEEDBACK, number)
    assert content is not None
    return OutsideFeedback.model_validate_json(content)


def interrupted(what: Callable[[], object]) -> Callable[[str], Agent]:
    """Agents that are the dummy's, but for what happens once while they code."""
    left = [what]

    class Interrupted(DummyAgent):
        async def code(self, *arguments) -> Change:
            if left:
                await asyncio.to_thread(left.pop())
            return await super().code(*arguments)

    return lambda _: Interrupted()
