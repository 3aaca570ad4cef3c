"""Whole jobs on a part of a repository, behind a URL and beside files in Git LFS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aicd_core.contracts import PlannedOp, PolicyVerdict
from aicd_core.jobs.machine import JobState
from aicd_core.testing.agents import ScriptedAgent, plan_for
from aicd_github.testing.git_server import GitServer, serving
from conftest import Body
from histories import git

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 7\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    files = {
        ".aicd.yml": "version: 1\ntests: [test ! -e lib]\ncheckout: {sparse: [web]}\n",
        ".gitattributes": "*.psd filter=lfs\n",
        "web/app.js": "let it = 1\n",
        "web/logo.psd": POINTER,
        "lib/a.py": "a = 1\n",
    }
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-qm", "Begin")
    return root


@pytest.fixture
def server(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    bare = tmp_path / "served/project.git"
    git(source, "clone", "-q", "--bare", ".", str(bare))
    for setting in ("http.receivepack", "uploadpack.allowFilter"):
        git(bare, "config", setting, "true")
    with serving(GitServer(bare.parent)) as running:
        yield running


def writing(body: Body, path: str, content: str, op: PlannedOp = PlannedOp.MODIFY) -> None:
    """Has the body work with an agent that plans and writes this one file."""

    async def code(workspace, session):
        await workspace.write(path, content.encode())

    agent = ScriptedAgent(plans=[lambda task: plan_for(task.base_sha, path, op=op)] * 5, codes=[code])
    body.agents = lambda name: agent


async def test_a_job_in_its_part_of_the_repository_leaves_the_rest_as_it_is(body: Body, server: GitServer):
    writing(body, "web/app.js", "let it = 2\n")
    report = await body.run(server.url("project.git"), "Make it two")
    assert report.job.state is JobState.PR_OPEN, report.job.reason
    bare = server.root / "project.git"
    assert git(bare, "diff", "--name-status", "main", report.job.branch) == b"M\tweb/app.js\n"
    assert report.policy is not None
    assert report.policy.verdict is PolicyVerdict.ALLOW


async def test_a_plan_outside_of_it_is_sent_back_with_the_reason(body: Body, server: GitServer):
    writing(body, "lib/a.py", "a = 2\n")
    report = await body.run(server.url("project.git"), "Make it two")
    assert (report.job.state, report.job.code) == (JobState.FAILED, "invalid_plan")
    assert "checkout.sparse of .aicd.yml lays out web only" in (report.job.reason or "")


async def test_a_picture_instead_of_its_pointer_waits_for_a_person(body: Body, server: GitServer):
    writing(body, "web/logo.psd", "the picture itself\n")
    report = await body.run(server.url("project.git"), "A better logo")
    assert report.job.state is JobState.PR_OPEN, report.job.reason
    assert report.pull_request is not None
    assert report.pull_request.draft
    assert report.policy is not None
    assert [(finding.rule, finding.path) for finding in report.policy.findings] == [("lfs_pointer", "web/logo.psd")]


async def test_another_pointer_passes(body: Body, server: GitServer):
    writing(body, "web/logo.psd", POINTER.replace("a" * 64, "b" * 64))
    report = await body.run(server.url("project.git"), "The better logo, uploaded already")
    assert report.policy is not None
    assert report.policy.verdict is PolicyVerdict.ALLOW
