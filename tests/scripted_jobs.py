"""A repository, and agents whose every answer is scripted, for tests of jobs."""

from pathlib import Path

import pytest

from aicd_core.contracts import Review, ReviewFinding, ReviewVerdict
from aicd_core.testing.agents import ScriptedAgent, plan_for
from conftest import Body
from histories import git

NO_TESTS = "version: 1\ntests: []\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    git(root, "init", "-q")
    (root / ".aicd.yml").write_text(NO_TESTS)
    (root / "old.txt").write_text("old\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "Begin")
    return root


def configure(root: Path, text: str) -> None:
    (root / ".aicd.yml").write_text(text)
    git(root, "commit", "-qam", "Configure")


def writes(path: str, content: str):
    async def code(workspace, session):
        await workspace.write(path, content.encode())

    return code


def rejects(*messages: str) -> Review:
    findings = tuple(ReviewFinding(id=f"f{n}", severity="high", message=m) for n, m in enumerate(messages))
    return Review(verdict=ReviewVerdict.REJECT, findings=findings)


def use(body: Body, agent: ScriptedAgent) -> ScriptedAgent:
    body.agents = lambda name: agent
    return agent


def creating(path: str, **script) -> ScriptedAgent:
    plans = [lambda task: plan_for(task.base_sha, path)]
    return ScriptedAgent(plans=plans, **{"codes": [writes(path, "new\n")], **script})
