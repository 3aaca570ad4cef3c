"""Parts of GitHub's payloads as values: of each only what is used, under the names that GitHub gives it.

What GitHub's descriptions require of a payload differs from what it sends, so nothing is read that is not needed, and
what may be absent is optional: https://docs.github.com/webhooks/webhook-events-and-payloads.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from aicd_core.tenancy.triggers import AuthorAssociation, TriggerActorKind

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


class AccountChanges(Part):
    """What a new name replaced."""

    login: OldText | None = None
