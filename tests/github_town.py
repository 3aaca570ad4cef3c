"""A GitHub with an App on it, and a Body that follows its webhooks, for tests of feedback."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from aicd_cli.hosts import Hosts
from aicd_cli.workers import github_router
from aicd_core.db.database import Database, SystemDatabase
from aicd_core.deliveries.values import DeliveryView, Outcome
from aicd_core.ids import DeliveryId, JobId, new_uuid
from aicd_core.jobs.machine import AT_WORK
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
from aicd_core.orchestrator.outside.looking import look_at_pull_requests
from aicd_core.settings import Settings
from aicd_core.tenancy import Tenant
from aicd_github.testing.git_server import run_git
from aicd_github.testing.github.state import CheckRun, Comment, Installation, Pull, Repository, Review, ReviewComment
from aicd_github.testing.github_server import GitHubServer, serving_github
from aicd_github.webhooks import SOURCE
from histories import git

PERMISSIONS = {
    **dict.fromkeys(("contents", "issues", "pull_requests", "checks"), "write"),
    **dict.fromkeys(("metadata", "statuses", "actions"), "read"),
}
BODY = (
    "Please.\n\n```diff\n--- a/greet.txt\n+++ b/greet.txt\n@@ -1,3 +1,3 @@\n one\n-hello\n+hello world\n three\n```\n"
)
AGAIN = (
    "```diff\n--- a/greet.txt\n+++ b/greet.txt\n@@ -1,3 +1,3 @@\n one\n-hello world\n+hello wide world\n three\n```\n"
)


@dataclass
class GitHub:
    """The running stand-in, its repository `acme/project`, and the App `aicd` on it; `alice` may write, `rita` read."""

    server: GitHubServer
    repo: Repository
    installed: Installation
    key_file: Path

    @property
    def pull(self) -> Pull:
        (found,) = self.repo.pulls.values()
        return found

    def settings(self) -> dict[str, str]:
        """What a process is told about it."""
        return {
            "AICD_GITHUB_API_URL": self.server.api,
            "AICD_GITHUB_APP_ID": str(self.installed.app.id),
            "AICD_GITHUB_APP_KEY_FILE": str(self.key_file),
            "AICD_GITHUB_ACCOUNTS": "acme",
            "AICD_FEEDBACK_DELAY": "0",
        }

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        done = run_git(self.repo.folder, *arguments)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().rstrip("\n")

    def head(self) -> str:
        return self.git("rev-parse", f"refs/heads/{self.pull.head}")

    def file(self, path: str = "greet.txt") -> str:
        return self.git("show", f"refs/heads/{self.pull.head}:{path}")

    def push(self, branch: str, path: str, content: str, message: str = "mine") -> str:
        """Somebody else's commit on a branch: one file written."""
        tree = self.repo.folder.parent / f"clone-{new_uuid()}"
        git(self.repo.folder.parent, "clone", "-q", "--branch", branch, str(self.repo.folder), str(tree))
        (tree / path).write_text(content)
        git(tree, "add", ".")
        git(tree, "commit", "-qm", message)
        git(tree, "push", "-q", "origin", f"HEAD:{branch}")
        return git(tree, "rev-parse", "HEAD").decode().strip()

    def replies(self) -> list[str]:
        """What we answered in threads."""
        return [said.body for said in self.pull.comments if said.user.login == "aicd[bot]"]

    def living(self) -> list[str]:
        return [said.body for said in self.repo.issues[1].comments if said.user.login == "aicd[bot]"]

    # What people and checks do; each returns the event that GitHub tells of it.

    def review(self, by: str, body: str, verdict: str = "CHANGES_REQUESTED") -> tuple[str, dict[str, Any]]:
        made = Review(self.server.world.user(by), body, verdict, self.head())
        self.pull.reviews.append(made)
        return "pull_request_review", self._event("submitted", review={"id": made.id, "state": verdict.lower()})

    def comment(self, by: str, body: str, line: int = 2, **more: Any) -> tuple[str, dict[str, Any]]:
        made = ReviewComment(self.server.world.user(by), body, "greet.txt", line, self.head(), **more)
        self.pull.comments.append(made)
        return "pull_request_review_comment", self._event("created", comment={"id": made.id, "body": body})

    def say(self, by: str, body: str) -> tuple[str, dict[str, Any]]:
        made = Comment(self.server.world.user(by), body)
        self.pull.issue.comments.append(made)
        issue = {"number": self.pull.issue.number, "id": 1, "title": "x", "pull_request": {}}
        comment = {"id": made.id, "body": body}
        return "issue_comment", self._event("created", issue=issue, comment=comment)

    def check(self, name: str = "test", conclusion: str = "failure", log: str = "red") -> tuple[str, dict[str, Any]]:
        sha = self.head()
        made = CheckRun("github-actions", sha, name, "", "completed", conclusion, {"title": "Broken"}, log=log)
        self.repo.checks.append(made)
        suite = {"id": 1, "head_sha": sha, "head_branch": self.pull.head}
        run = {"id": made.id, "name": name, "head_sha": sha, "status": "completed", "conclusion": conclusion}
        return "check_run", self._event("completed", check_run={**run, "check_suite": suite})

    def synchronized(self, by: str, after: str) -> tuple[str, dict[str, Any]]:
        """Somebody pushed a commit to the pull request's branch."""
        sender = {"id": self.server.world.user(by).id, "login": by, "type": "User"}
        return "pull_request", self._event("synchronize", sender=sender, after=after)

    def pushed(self, branch: str, before: str, after: str) -> tuple[str, dict[str, Any]]:
        return "push", self._event(None, ref=f"refs/heads/{branch}", before=before, after=after)

    def is_installed(self) -> tuple[str, dict[str, Any]]:
        account = {"id": self.repo.owner.id, "login": "acme", "type": "Organization"}
        repositories = [{"id": self.repo.id, "full_name": "acme/project"}]
        installation = {"id": self.installed.id, "account": account}
        return "installation", {"action": "created", "installation": installation, "repositories": repositories}

    def _event(self, action: str | None, **more: Any) -> dict[str, Any]:
        repository = {"id": self.repo.id, "full_name": "acme/project"}
        head = {"ref": self.pull.head, "sha": self.head(), "repo": repository}
        pull = {"number": self.pull.issue.number, "id": 1, "state": "open", "head": head, "base": head}
        told = {"repository": repository, "installation": {"id": self.installed.id}, "pull_request": pull, **more}
        return told if action is None else {"action": action, **told}


@contextmanager
def serving(
    root: Path,
    body: str = BODY,
    tests: str = "grep -q world greet.txt",
    files: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[GitHub]:
    """A GitHub whose issue 1 asks for a change; `files` are more of the repository's."""
    source = root / "source"
    source.mkdir()
    git(source, "init", "-q", "--initial-branch=main")
    (source / ".aicd.yml").write_text(f"version: 1\ntests: ['{tests}']\n")
    (source / "greet.txt").write_text("one\nhello\nthree\n")
    for name, content in files.items():
        (source / name).write_text(content)
    git(source, "add", ".")
    git(source, "commit", "-qm", "Begin")
    place, key = root / "github", rsa.generate_private_key(public_exponent=65537, key_size=2048)
    place.mkdir()
    key_file = root / "app.pem"
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with serving_github(GitHubServer(place)) as server:
        repo = server.add_repository("acme", "project", source, permissions={"alice": "write", "rita": "read"})
        app = server.add_app("aicd", public, dict(PERMISSIONS))
        server.add_issue(repo, "Greet the world", body, "rita")
        yield GitHub(server, repo, server.install(app, repo), key_file)


@dataclass
class Following:
    """Works on the issue's job in the test's process, and on what GitHub tells of its pull request."""

    github: GitHub
    database: Database
    system: SystemDatabase
    tenant: Tenant
    settings: Settings
    agents: Any
    job_id: JobId | None = None
    seen: list[Progress] = field(default_factory=list)

    def parts(self) -> Parts:
        return Parts(self.database, self.system, Hosts(self.settings), self.agents, self.settings, self.seen.append)

    async def begin(self) -> JobReport:
        """Takes the issue up, and works on it until its pull request is open."""
        source = f"{self.github.server.web}/acme/project.git"
        issue = self.github.repo.issues[1]
        text = IssueText(issue.title, issue.body)
        intake = Intake(self.database, self.tenant)
        host = self.parts().hosts.at(source, self.tenant)
        taken = await intake.take(source, host, text, DirectOrder("dummy", 600, number=1))
        self.job_id = taken.job.id
        return await self.work()

    async def work(self) -> JobReport:
        """Goes on with the job as long as there is work."""
        assert self.job_id is not None
        foreground = Foreground(self.parts(), Control(self.parts(), self.tenant, "test"))
        queue = ForegroundQueue()
        report = await read_report(self.database, self.tenant, self.job_id)
        if report.job.state in AT_WORK:
            await queue.add(wake_for(report.job))
            await queue.run(foreground.handle)
        return await read_report(self.database, self.tenant, self.job_id)

    async def told(self, event: tuple[str, dict[str, Any]]) -> Outcome:
        """One delivery, handled."""
        name, payload = event
        view = DeliveryView(
            *(DeliveryId(new_uuid()), None, SOURCE, "x", name, None, None),
            *(json.dumps(payload).encode(), 1, datetime.now(UTC)),
        )
        return await github_router(self.parts())(view)

    async def look(self) -> None:
        await look_at_pull_requests(self.parts())

    async def after(self, *events: tuple[str, dict[str, Any]]) -> JobReport:
        """The job when everything that follows from these events was done."""
        for event in events:
            await self.told(event)
        await self.look()
        return await self.work()


def following(
    github: GitHub, database: Database, system: SystemDatabase, tenant: Tenant, data: Path, agents: Any
) -> Following:
    settings = Settings(
        data_dir=data,
        command_timeout=60,
        github_api_url=github.server.api,
        github_app_id=github.installed.app.id,
        github_app_key_file=github.key_file,
        github_accounts="acme=acme",
        feedback_delay=0,
    )
    return Following(github, database, system, tenant, settings, agents)
