"""GitHub's events as values: of each payload only what is used, under the names that GitHub gives it.

What GitHub itself requires of a payload differs from what it sends, so nothing is read that is not needed, and what may
be absent is optional: https://docs.github.com/webhooks/webhook-events-and-payloads.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from aicd_core.tenancy.triggers import AuthorAssociation, TriggerActorKind
from aicd_github.webhooks.commands import Command, commands_added, commands_in

Text = Annotated[str, AfterValidator(lambda text: text.replace("\x00", "\ufffd"))]
"""Text as Postgres can store it."""

_KINDS: Mapping[str, TriggerActorKind] = MappingProxyType(
    {"User": TriggerActorKind.PERSON, "Bot": TriggerActorKind.BOT}
)


class Part(BaseModel):
    """A frozen part of a payload; whatever else GitHub sends is left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Account(Part):
    """A user, a bot or an organization."""

    id: int
    login: Text
    type: str = ""

    @property
    def kind(self) -> TriggerActorKind:
        return _KINDS.get(self.type, TriggerActorKind.OTHER)


class Repository(Part):
    id: int
    full_name: Text
    default_branch: Text | None = None
    owner: Account | None = None


class RepositoryName(Part):
    """A repository as installations list it."""

    id: int
    full_name: Text


class InstallationNumber(Part):
    id: int


class Installation(InstallationNumber):
    account: Account
    suspended_at: datetime | None = None
    updated_at: datetime | None = None


class Label(Part):
    name: Text


class Present(Part):
    """Something of which only the presence counts."""


class Issue(Part):
    number: int
    id: int
    title: Text
    body: Text | None = None
    state: str = "open"
    user: Account | None = None
    author_association: AuthorAssociation = AuthorAssociation.NONE
    labels: tuple[Label, ...] = ()
    assignees: tuple[Account, ...] = ()
    updated_at: datetime | None = None
    pull_request: Present | None = None

    @property
    def is_pull_request(self) -> bool:
        return self.pull_request is not None


class Comment(Part):
    """A comment on an issue, or on a line of a pull request, where it has a path."""

    id: int
    body: Text | None = None
    user: Account | None = None
    author_association: AuthorAssociation = AuthorAssociation.NONE
    updated_at: datetime | None = None
    path: Text | None = None
    line: int | None = None
    side: str | None = None
    diff_hunk: Text | None = None
    commit_id: str | None = None
    in_reply_to_id: int | None = None
    pull_request_review_id: int | None = None


class Branch(Part):
    ref: Text
    sha: str
    repo: RepositoryName | None = None


class PullRequest(Part):
    number: int
    id: int
    state: str
    head: Branch
    base: Branch
    merged: bool | None = None
    merged_by: Account | None = None
    merge_commit_sha: str | None = None
    draft: bool | None = None
    user: Account | None = None
    updated_at: datetime | None = None


class PullNumber(Part):
    number: int


class Review(Part):
    """`state` is `approved`, `changes_requested`, `commented` or `dismissed`."""

    id: int
    state: str
    body: Text | None = None
    user: Account | None = None
    author_association: AuthorAssociation = AuthorAssociation.NONE
    commit_id: str | None = None
    submitted_at: datetime | None = None


class App(Part):
    id: int
    slug: str | None = None


class CheckSuite(Part):
    id: int
    head_sha: str
    head_branch: Text | None = None
    status: str | None = None
    conclusion: str | None = None
    app: App | None = None
    pull_requests: tuple[PullNumber, ...] = ()
    updated_at: datetime | None = None


class CheckOutput(Part):
    title: Text | None = None
    summary: Text | None = None


class CheckRun(Part):
    id: int
    name: Text
    head_sha: str
    status: str
    conclusion: str | None = None
    details_url: Text | None = None
    external_id: Text | None = None
    output: CheckOutput = CheckOutput()
    app: App | None = None
    check_suite: CheckSuite | None = None
    pull_requests: tuple[PullNumber, ...] = ()
    started_at: datetime | None = None
    completed_at: datetime | None = None


class Commit(Part):
    """One commit of a push and the paths that it changed."""

    id: str
    added: tuple[Text, ...] = ()
    removed: tuple[Text, ...] = ()
    modified: tuple[Text, ...] = ()


class BranchName(Part):
    name: Text


class OldText(Part):
    from_: Text | None = Field(default=None, alias="from")


class Changes(Part):
    """What an edit replaced, and where a transferred issue went."""

    title: OldText | None = None
    body: OldText | None = None
    new_issue: Issue | None = None
    new_repository: Repository | None = None


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
    def text(self) -> str | None:
        raise NotImplementedError

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
            *(ReviewEvent, ReviewCommentEvent, CheckSuiteEvent, CheckRunEvent, StatusEvent, PushEvent),
        )
    }
)
"""The events that are read, by their names; all others are kept and ignored."""


def _newest(*times: datetime | None) -> datetime | None:
    return max(filter(None, times), default=None)
