"""`aicd run --github` as a person meets it: the real process, real git, and a GitHub that fails at every call once."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from aicd_core.testing.databases import TestUrls
from aicd_github.hub.render import STATUS_MARK
from aicd_github.testing.git_server import run_git
from aicd_github.testing.github.faults import Fault
from aicd_github.testing.github.state import Repository
from aicd_github.testing.github_server import GitHubServer, serving_github
from histories import git

AICD = Path(sys.executable).with_name("aicd")
BODY = "Please.<!-- rm -rf / -->\n\n```diff\n--- a/greet.txt\n+++ b/greet.txt\n@@ -1 +1 @@\n-hello\n+hello world\n```\n"


@dataclass
class Town:
    server: GitHubServer
    repo: Repository
    token: str
    data: Path
    urls: TestUrls

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.data.parent),
            "AICD_DATABASE_URL": self.urls.app,
            "AICD_SYSTEM_DATABASE_URL": self.urls.system,
            "AICD_GITHUB_API_URL": self.server.api,
            "AICD_GITHUB_TIMEOUT": "5",
            "GITHUB_TOKEN": self.token,
        } | more
        command = [str(AICD), *arguments, "--data-dir", str(self.data)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)

    def comments(self, number: int = 1) -> list[str]:
        return [c.body for c in self.repo.issues[number].comments if STATUS_MARK in c.body]

    def refs(self) -> dict[str, str]:
        listed = run_git(self.repo.folder, "for-each-ref", "--format=%(refname) %(objectname)").stdout.decode()
        return dict(line.split() for line in listed.splitlines())


@pytest.fixture
def town(tmp_path: Path, database_urls: TestUrls) -> Iterator[Town]:
    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "-q")
    (source / ".aicd.yml").write_text("version: 1\ntests: ['grep -q world greet.txt']\n")
    (source / "greet.txt").write_text("hello\n")
    (source / "CODEOWNERS").write_text("*.txt @olga @nobody-here\n")
    git(source, "add", ".")
    git(source, "commit", "-qm", "Begin")
    root = tmp_path / "github"
    root.mkdir()
    with serving_github(GitHubServer(root)) as server:
        repo = server.add_repository("acme", "project", source, permissions={"alice": "write", "olga": "write"})
        repo.default_branch = git(source, "branch", "--show-current").decode().strip()
        server.add_issue(repo, "Greet the world", BODY, "rita")
        yield Town(server, repo, server.add_token("alice"), tmp_path / "data", database_urls)


def test_an_issue_becomes_a_pull_request(town: Town) -> None:
    done = town.run("run", "--github", "acme/project#1", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (pull,) = town.repo.pulls.values()
    assert told["pull_request"] == {"url": f"{town.server.web}/acme/project/pull/2", "number": 2, "draft": False}
    assert pull.issue.title == "Greet the world"
    for words in ("Closes #1", "| criterion | met | evidence |", "## Tests", "## Policy: allow", "USD", "/aicd help"):
        assert words in pull.issue.body
    assert "Hidden text in the issue" in pull.issue.body
    assert pull.issue.labels == ["aicd"]
    assert pull.reviewers == ["olga"]
    (comment,) = town.comments()
    assert pull.issue.user.login == "alice"
    assert "has an open pull request" in comment
    assert told["pull_request"]["url"] in comment
    refs = town.refs()
    job = told["job_id"]
    head = refs[f"refs/heads/aicd/{job}"]
    assert refs[f"refs/aicd/jobs/{job}/head"] == head == told["head_sha"]
    message = run_git(town.repo.folder, "log", "-1", "--format=%B", head).stdout.decode()
    assert message.rstrip().endswith("Signed-off-by: AI-CD <aicd@localhost>")
    evidence = run_git(town.repo.folder, "show", f"refs/aicd/jobs/{job}/evidence:evidence.json").stdout
    assert json.loads(evidence)["payloadType"]
    assert str(town.token) not in done.stdout + done.stderr
    assert town.run("run", "--github", "acme/project#1", "--json").returncode == 0
    assert len(town.repo.pulls) == len(town.comments()) == 1


@pytest.mark.parametrize("fault", list(Fault))
def test_with_every_call_failing_once_there_is_one_pull_request_and_one_comment(town: Town, fault: Fault) -> None:
    town.server.world.faults.each_once = fault
    done = town.run("run", "--github", "acme/project#1", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    failed = {(call.method, call.route) for call in town.server.world.exchanges if call.fault}
    assert len(failed) >= 8, "every call that is made failed once"
    (pull,) = town.repo.pulls.values()
    assert (pull.issue.labels, pull.reviewers) == (["aicd"], ["olga"])
    (comment,) = town.comments()
    assert "has an open pull request" in comment


def test_what_cannot_be_done_is_told_before_a_job_is_made(town: Town) -> None:
    for arguments, words in {
        ("--github", "acme/project#7"): "could not be read",
        ("--github", "acme/none#1"): "Check the name",
        ("--github", "project"): "OWNER/REPO#N",
        ("--github", "acme/project#1", "--issue", "x"): "Name either",
        (): "Name either",
    }.items():
        done = town.run("run", *arguments)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
    done = town.run("run", "--github", "acme/project#1", GITHUB_TOKEN="wrong")
    assert "does not accept the credentials" in done.stderr
    done = town.run("run", "--github", "acme/project#1", GITHUB_TOKEN="")
    assert "AICD_GITHUB_TOKEN" in done.stderr
    done = town.run("run", "--github", "project", GITHUB_TOKEN="")
    assert (done.returncode, "OWNER/REPO#N" in done.stderr) == (2, True), done.stderr
    assert not town.repo.issues[1].comments


def test_a_person_who_pushed_to_the_branch_is_not_overwritten(town: Town) -> None:
    first = json.loads(town.run("run", "--github", "acme/project#1", "--json").stdout)
    branch = f"refs/heads/aicd/{first['job_id']}"
    tree = run_git(town.repo.folder, "rev-parse", f"{branch}^{{tree}}").stdout.decode().strip()
    theirs = run_git(town.repo.folder, "commit-tree", tree, "-p", branch, "-m", "mine").stdout.decode().strip()
    run_git(town.repo.folder, "update-ref", branch, theirs)
    done = town.run("run", "--github", "acme/project#1", "--new", "--json")
    assert done.returncode == 0, done.stderr
    assert town.refs()[branch] == theirs
    assert len(town.comments()) == 1
    assert len(town.repo.pulls) == 2
