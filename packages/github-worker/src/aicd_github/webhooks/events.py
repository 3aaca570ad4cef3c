"""GitHub's events as values: one for each kind that is handled."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from aicd_github.webhooks.commands import Command, commands_added, commands_in
from aicd_github.webhooks.parts import (
    Account,
    AccountChanges,
    BranchName,
    Changes,
    CheckRun,
    CheckSuite,
    Comment,
    Commit,
    Installation,
    InstallationNumber,
    Issue,
    Label,
    Part,
    PullRequest,
    Repository,
    RepositoryName,
    Review,
    Text,
)


class Event(Part):
    """What every event has. `of` is its name in `X-GitHub-Event`."""

    of: ClassVar[str]

    action: str | None = None
    sender: Account | None = None
    installation: InstallationNumber | None = None

    @property
    def account(self) -> str | None:
        """Whose repository or installation this is about."""
        return None

    @property
    def occurred_at(self) -> datetime | None:
        """The newest time that GitHub says of what happened; None where it says none."""
        return None


class PingEvent(Event):
    of: ClassVar[str] = "ping"

    hook_id: int | None = None


class _OfInstallation(Event):
    installation: Installation

    @property
    def account(self) -> str | None:
        return self.installation.account.login


class InstallationEvent(_OfInstallation):
    of: ClassVar[str] = "installation"

    repositories: tuple[RepositoryName, ...] = ()


class InstallationRepositoriesEvent(_OfInstallation):
    of: ClassVar[str] = "installation_repositories"

    repositories_added: tuple[RepositoryName, ...] = ()
    repositories_removed: tuple[RepositoryName, ...] = ()


class InstallationTargetEvent(Event):
    """What happens to the account that an installation is on, such as a new name; `account` has the new one."""

    of: ClassVar[str] = "installation_target"

    installation: InstallationNumber
    target: Account = Field(alias="account")
    changes: AccountChanges = AccountChanges()

    @property
    def account(self) -> str | None:
        return self.target.login


class RepositoryEvent(Event):
    """An event in a repository."""

    repository: Repository

    @property
    def account(self) -> str | None:
        return self.repository.full_name.partition("/")[0]


class IssueEvent(RepositoryEvent):
    of: ClassVar[str] = "issues"

    issue: Issue
    label: Label | None = None
    assignee: Account | None = None
    changes: Changes = Changes()

    @property
    def occurred_at(self) -> datetime | None:
        return self.issue.updated_at


class _WithCommands(RepositoryEvent):
    changes: Changes = Changes()

    @property
    @abstractmethod
    def text(self) -> str | None:
        """What was written."""

    @property
    def commands(self) -> tuple[Command, ...]:
        """What is asked for: by a new text all its commands, by an edited one those that it did not hold before."""
        if self.action in ("created", "submitted"):
            return commands_in(self.text)
        if self.action == "edited" and self.changes.body is not None:
            return commands_added(self.changes.body.from_, self.text)
        return ()


class CommentEvent(_WithCommands):
    of: ClassVar[str] = "issue_comment"

    issue: Issue
    comment: Comment

    @property
    def text(self) -> str | None:
        return self.comment.body

    @property
    def occurred_at(self) -> datetime | None:
        return self.comment.updated_at


class RepositoryChangedEvent(RepositoryEvent):
    """What happens to a repository itself, such as a new name."""

    of: ClassVar[str] = "repository"


class PullRequestEvent(RepositoryEvent):
    of: ClassVar[str] = "pull_request"

    pull_request: PullRequest
    before: str | None = None
    after: str | None = None

    @property
    def occurred_at(self) -> datetime | None:
        return self.pull_request.updated_at


class ReviewEvent(_WithCommands):
    of: ClassVar[str] = "pull_request_review"

    pull_request: PullRequest
    review: Review

    @property
    def text(self) -> str | None:
        return self.review.body

    @property
    def occurred_at(self) -> datetime | None:
        return _newest(self.review.submitted_at, self.pull_request.updated_at)


class ReviewCommentEvent(_WithCommands):
    of: ClassVar[str] = "pull_request_review_comment"

    pull_request: PullRequest
    comment: Comment

    @property
    def text(self) -> str | None:
        return self.comment.body

    @property
    def occurred_at(self) -> datetime | None:
        return self.comment.updated_at


class CheckSuiteEvent(RepositoryEvent):
    of: ClassVar[str] = "check_suite"

    check_suite: CheckSuite

    @property
    def occurred_at(self) -> datetime | None:
        return self.check_suite.updated_at


class CheckRunEvent(RepositoryEvent):
    of: ClassVar[str] = "check_run"

    check_run: CheckRun

    @property
    def occurred_at(self) -> datetime | None:
        suite = self.check_run.check_suite
        return _newest(self.check_run.started_at, self.check_run.completed_at, suite.updated_at if suite else None)


class StatusEvent(RepositoryEvent):
    """The older way to report CI; `state` is `pending`, `success`, `failure` or `error`."""

    of: ClassVar[str] = "status"

    id: int
    sha: str
    state: str
    context: Text
    description: Text | None = None
    target_url: Text | None = None
    branches: tuple[BranchName, ...] = ()
    updated_at: datetime | None = None

    @property
    def occurred_at(self) -> datetime | None:
        return self.updated_at


class PushEvent(RepositoryEvent):
    """`before` or `after` is all zeros where the ref was made or deleted. GitHub lists at most 2,048 commits."""

    of: ClassVar[str] = "push"

    ref: Text
    before: str
    after: str
    created: bool = False
    deleted: bool = False
    forced: bool = False
    commits: tuple[Commit, ...] = ()


KINDS: Mapping[str, type[Event]] = MappingProxyType(
    {
        kind.of: kind
        for kind in (
            *(PingEvent, InstallationEvent, InstallationRepositoriesEvent, IssueEvent, CommentEvent, PullRequestEvent),
            *(InstallationTargetEvent, RepositoryChangedEvent),
            *(ReviewEvent, ReviewCommentEvent, CheckSuiteEvent, CheckRunEvent, StatusEvent, PushEvent),
        )
    }
)
"""The events that are read, by their names; all others are kept and ignored."""


def _newest(*times: datetime | None) -> datetime | None:
    return max(filter(None, times), default=None)
