"""A label and comments on GitHub drive a job, and its pull request ends it: real processes, sockets and git."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from aicd_core.jobs.machine import JobState
from aicd_core.testing.chaos.installation import AicdProcess, Installation, installation, wait_until
from aicd_core.testing.chaos.repository import list_jobs
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.journaled import NAME, Script, journaled_issue
from aicd_github.hub.render import STATUS_MARK
from aicd_github.testing.github.state import Issue, Pull, Repository
from aicd_github.testing.github_server import GitHubServer, serving_github
from aicd_github.testing.messages import Message, Messages

SECRET = "long enough to be a secret"
PERMISSIONS = {
    **dict.fromkeys(("contents", "issues", "pull_requests", "checks"), "write"),
    **dict.fromkeys(("metadata", "statuses", "actions"), "read"),
}


@dataclass
class Town:
    """An installation, the stand-in with the repository `acme/project`, and one issue."""

    made: Installation
    server: GitHubServer
    repo: Repository
    says: Messages
    issue: Issue
    worker: AicdProcess
    address: str

    def tell(self, message: Message) -> None:
        """Delivers a webhook, as GitHub does."""
        answer = httpx.post(self.address, content=message.body, headers=message.headers(SECRET), timeout=60)
        assert answer.status_code == 202, answer.text

    def state(self) -> JobState | None:
        found = list_jobs(self.made.urls.admin)
        return found[-1].status.state if found else None

    def wait_for(self, wanted: JobState) -> None:
        wait_until(lambda: self.state() is wanted, f"a job that is {wanted.value}; {self.worker.said()[-2000:]}")

    def job_id(self) -> UUID:
        return list_jobs(self.made.urls.admin)[-1].id

    def living(self) -> str:
        ours = [comment.body for comment in self.issue.comments if STATUS_MARK in comment.body]
        assert len(ours) == 1, ours
        return ours[0]

    def pull(self) -> Pull:
        (pull,) = self.repo.pulls.values()
        return pull


@pytest.fixture
def town(tmp_path: Path, database_urls: TestUrls) -> Iterator[Town]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file = tmp_path / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    root = tmp_path / "github"
    root.mkdir()
    with installation(tmp_path, database_urls) as made, serving_github(GitHubServer(root)) as server:
        repo = server.add_repository("acme", "project", made.source, permissions={"alice": "write", "rita": "read"})
        app = server.add_app("aicd", public, PERMISSIONS)
        installed = server.install(app, repo)
        issue = server.add_issue(repo, "Keep a diary", journaled_issue("x", Script(made.model.url, turns=1)), "rita")
        made.settings |= {
            "AICD_GITHUB_API_URL": server.api,
            "AICD_GITHUB_APP_ID": str(app.id),
            "AICD_GITHUB_APP_KEY_FILE": str(file),
            "AICD_GITHUB_WEBHOOK_SECRET": SECRET,
            "AICD_GITHUB_ACCOUNTS": "acme",
            "AICD_AGENT": NAME,
        }
        serving = made.begin("web", "github", "serve", "--port", "0")
        worker = made.worker("first")
        wait_until(lambda: "taking deliveries" in serving.said(), "an open port")
        address = serving.said().partition("taking deliveries at ")[2].split()[0]
        wait_until(lambda: "ready" in worker.said(), "a worker")
        yield Town(made, server, repo, Messages(server, repo, installed), issue, worker, address)


def test_a_label_becomes_a_pull_request_and_its_merge_the_end(town: Town):
    town.tell(town.says.labeled(town.issue, "aicd", "rita"))
    town.tell(town.says.commented(town.issue, "/aicd go", "renovate[bot]"))
    label = town.says.labeled(town.issue, "aicd", "alice")
    for message in (label, label, Message(label.event, label.payload)):
        town.tell(message)
    town.wait_for(JobState.PR_OPEN)
    assert len(list_jobs(town.made.urls.admin)) == 1
    wait_until(lambda: "has an open pull request" in town.living(), "the news")
    pull = town.pull()
    assert f"{town.server.web}/acme/project/pull/{pull.issue.number}" in town.living()
    town.tell(town.says.merged(pull, "alice"))
    town.wait_for(JobState.MERGED)
    wait_until(lambda: "was merged" in town.living(), "the news")
    assert not (town.made.root / "first" / "jobs" / str(town.job_id())).exists()


def test_a_plan_waits_for_its_approval_in_a_comment(town: Town):
    town.tell(town.says.commented(town.issue, "/aicd plan", "alice"))
    town.wait_for(JobState.AWAITING_APPROVAL)
    wait_until(lambda: "**Plan `" in town.living(), "the plan")
    town.tell(town.says.commented(town.issue, "/aicd go", "rita"))
    town.tell(town.says.commented(town.issue, "/aicd go", "alice"))
    town.wait_for(JobState.PR_OPEN)
    wait_until(lambda: "has an open pull request" in town.living(), "the news")


@pytest.mark.parametrize("end", [JobState.MERGED, JobState.CLOSED, JobState.CANCELLED])
def test_a_job_at_work_is_told_of_its_end(town: Town, end: JobState):
    town.tell(town.says.labeled(town.issue, "aicd", "alice"))
    town.wait_for(JobState.PR_OPEN)
    calls = len(town.made.model.calls())
    town.made.model.hold_from(calls + 1)
    with psycopg.connect(town.made.urls.admin) as connection:
        connection.execute("UPDATE jobs SET state = 'coding', round = 2, version = version + 1, woken_at = NULL")
    wait_until(lambda: len(town.made.model.calls()) == calls + 1, "a worker that is coding")
    message = {
        JobState.MERGED: lambda: town.says.merged(town.pull(), "alice"),
        JobState.CLOSED: lambda: town.says.pull_closed(town.pull(), "alice"),
        JobState.CANCELLED: lambda: town.says.commented(town.issue, "/aicd stop", "alice"),
    }[end]()
    town.tell(message)
    town.wait_for(end)
    tree = town.made.root / "first" / "jobs" / str(town.job_id())
    wait_until(lambda: not tree.exists(), "no work tree")
    assert list_jobs(town.made.urls.admin)[-1].lease_owner is None
    assert town.worker.process.poll() is None
    assert town.pull().issue.state == ("open" if end is JobState.CANCELLED else "closed")


def test_a_repository_that_is_renamed_while_its_job_is_at_work(town: Town):
    town.made.model.hold_from(3)
    town.tell(town.says.labeled(town.issue, "aicd", "alice"))
    wait_until(lambda: len(town.made.model.calls()) == 3, "a review that is held")
    town.tell(town.says.renamed("new-name", "alice"))
    moved = "SELECT source FROM repositories WHERE source LIKE '%/acme/new-name.git'"

    def followed() -> bool:
        with psycopg.connect(town.made.urls.admin) as connection:
            return bool(connection.execute(moved).fetchall())

    wait_until(followed, "the new name")
    town.made.model.release()
    town.wait_for(JobState.PR_OPEN)
    assert town.pull().head == f"aicd/{town.job_id()}"
    assert len(list_jobs(town.made.urls.admin)) == 1
