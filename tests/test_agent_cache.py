"""The folder that an agent is lent for what it can make anew."""

from dataclasses import replace
from pathlib import Path

import pytest

from aicd_core.contracts import AgentSession, Workspace
from aicd_core.jobs.machine import JobState
from aicd_core.tenancy import Tenant
from aicd_core.testing.agents import ScriptedAgent, plan_for
from conftest import Body
from histories import git


def repository(root: Path) -> Path:
    root.mkdir()
    git(root, "init", "-q")
    (root / ".aicd.yml").write_text("version: 1\ntests: []\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "Begin")
    return root


@pytest.fixture
def folders(body: Body) -> list[Path]:
    """The folder that each round of coding was lent."""
    found: list[Path] = []

    async def code(workspace: Workspace, session: AgentSession) -> None:
        found.append(session.cache)
        await workspace.write("new.txt", b"new\n")

    agent = ScriptedAgent(plans=[lambda task: plan_for(task.base_sha, "new.txt")], codes=[code])
    body.agents = lambda name: agent
    return found


async def test_jobs_of_one_repository_share_a_folder_under_the_data_directory(
    body: Body, folders: list[Path], tmp_path: Path
):
    source = repository(tmp_path / "source")
    for issue in ("First", "Second"):
        assert (await body.run(source, issue)).job.state is JobState.PR_OPEN
    assert folders[0] == folders[1]
    assert folders[0].is_relative_to(body.settings.resolved_data_dir())


async def test_another_repository_and_another_organization_have_folders_of_their_own(
    body: Body, rival: Tenant, folders: list[Path], tmp_path: Path
):
    source = repository(tmp_path / "source")
    await body.run(source, "Ours")
    await body.run(repository(tmp_path / "other"), "Ours")
    await replace(body, tenant=rival).run(source, "Theirs")
    assert len(set(folders)) == len(folders) == 3
