"""What the stand-in would tell a webhook: payloads of what happens in its world, signed as GitHub signs them.

Each method makes it happen in the world, too. Times have microseconds where GitHub's have seconds, so that what a test
does within one second has an order.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from aicd_github.testing.github.pull_shapes import PullShapes
from aicd_github.testing.github.state import Comment, Installation, Issue, Pull, Repository, User, now
from aicd_github.testing.github_server import GitHubServer

Json = dict[str, Any]


@dataclass(frozen=True)
class Message:
    """One delivery."""

    event: str
    payload: Json
    delivery: str = field(default_factory=lambda: str(uuid4()))

    @property
    def body(self) -> bytes:
        return json.dumps(self.payload).encode()

    def headers(self, secret: str) -> dict[str, str]:
        """What it is posted with."""
        return {
            "Content-Type": "application/json",
            "X-GitHub-Event": self.event,
            "X-GitHub-Delivery": self.delivery,
            "X-Hub-Signature-256": f"sha256={hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()}",
        }


@dataclass(frozen=True)
class Messages:
    """About one repository, through one installation. `at` is when it happened; None: now."""

    server: GitHubServer
    repo: Repository
    installed: Installation

    def labeled(self, issue: Issue, label: str, by: str, at: datetime | None = None) -> Message:
        """Somebody puts a label on an issue."""
        issue.labels.append(label)
        return self.of_issue("labeled", issue, by, at, label=self.server.shapes.label(self.repo, label))

    def assigned(self, issue: Issue, to: User, by: str, at: datetime | None = None) -> Message:
        """Somebody assigns an issue."""
        issue.assignees.append(to)
        return self.of_issue("assigned", issue, by, at, assignee=self.server.shapes.user(to))

    def closed(self, issue: Issue, by: str, at: datetime | None = None) -> Message:
        """Somebody closes an issue."""
        issue.state = "closed"
        return self.of_issue("closed", issue, by, at)

    def of_issue(self, action: str, issue: Issue, by: str, at: datetime | None = None, **more: Any) -> Message:
        """Anything else about an issue, which changes nothing."""
        told = self.server.shapes.issue(self.repo, issue) | {"updated_at": _stamp(at)}
        return self._message("issues", action, by, issue=told, **more)

    def commented(self, issue: Issue, text: str, by: str, at: datetime | None = None) -> Message:
        """Somebody comments on an issue, or in the conversation of a pull request."""
        comment = Comment(self._user(by), text)
        issue.comments.append(comment)
        return self.of_comment("created", issue, comment, by, at)

    def of_comment(
        self, action: str, issue: Issue, comment: Comment, by: str, at: datetime | None = None, **more: Any
    ) -> Message:
        """Anything else about a comment."""
        shapes, times = self.server.shapes, {"created_at": _stamp(at), "updated_at": _stamp(at)}
        told = {"issue": shapes.issue(self.repo, issue), "comment": shapes.comment(self.repo, issue, comment) | times}
        return self._message("issue_comment", action, by, **told, **more)

    def merged(self, pull: Pull, by: str, at: datetime | None = None) -> Message:
        """Somebody merges a pull request."""
        pull.issue.state, pull.merged_at = "closed", now()
        return self.of_pull("closed", pull, by, at)

    def pull_closed(self, pull: Pull, by: str, at: datetime | None = None) -> Message:
        """Somebody closes a pull request."""
        pull.issue.state = "closed"
        return self.of_pull("closed", pull, by, at)

    def of_pull(self, action: str, pull: Pull, by: str, at: datetime | None = None, **more: Any) -> Message:
        """Anything else about a pull request."""
        told = PullShapes(self.server.shapes).pull(self.repo, pull, whole=True) | {"updated_at": _stamp(at)}
        return self._message("pull_request", action, by, pull_request=told, **more)

    def renamed(self, name: str, by: str) -> Message:
        """Somebody gives the repository another name."""
        before = self.repo.name
        self.server.rename(self.repo, name)
        return self._message("repository", "renamed", by, changes={"repository": {"name": {"from": before}}})

    def _message(self, event: str, action: str, by: str, **more: Any) -> Message:
        shapes = self.server.shapes
        common = {
            "action": action,
            "repository": shapes.repository(self.repo),
            "sender": shapes.user(self._user(by)),
            "installation": {"id": self.installed.id},
        }
        return Message(event, common | more)

    def _user(self, login: str) -> User:
        return self.server.world.user(login, "Bot" if login.endswith("[bot]") else "User")


def _stamp(at: datetime | None) -> str:
    return (at or datetime.now(UTC)).astimezone(UTC).isoformat().replace("+00:00", "Z")
