"""What the stand-in keeps: people, apps, repositories and what is in them."""

import itertools
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aicd_github.testing.github.faults import Faults

LEVELS = ("none", "read", "triage", "write", "maintain", "admin")
"""What a person may do in a repository, from nothing to everything."""
TOKEN_LIFE = timedelta(hours=1)
_ids: Iterator[int] = itertools.count(1001)


def next_id() -> int:
    """A number that nothing else has."""
    return next(_ids)


def now() -> datetime:
    """To the second, as GitHub tells times."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass
class User:
    """A person, a bot or an organization."""

    login: str
    kind: str = "User"
    id: int = field(default_factory=next_id)


@dataclass
class App:
    """`public_key` in PEM verifies its tokens."""

    slug: str
    owner: User
    public_key: str
    permissions: dict[str, str]
    id: int = field(default_factory=next_id)
    created_at: datetime = field(default_factory=now)

    @property
    def bot(self) -> str:
        return f"{self.slug}[bot]"


@dataclass
class Installation:
    """An app on an account, with the repositories that it was given."""

    app: App
    account: User
    permissions: dict[str, str]
    repositories: set[int]
    suspended_at: datetime | None = None
    removed: bool = False
    id: int = field(default_factory=next_id)
    created_at: datetime = field(default_factory=now)


@dataclass
class Token:
    """What lets somebody in: a person's own (no installation), or an installation's with what it was narrowed to."""

    user: User
    installation: Installation | None = None
    permissions: dict[str, str] = field(default_factory=dict)
    repositories: frozenset[int] = frozenset()
    secret: str = field(default_factory=lambda: f"ghs_{secrets.token_hex(18)}")
    expires_at: datetime = field(default_factory=lambda: now() + TOKEN_LIFE)
    revoked: bool = False


@dataclass
class Comment:
    """`reactions` are by the login of who reacted, and what with."""

    user: User
    body: str
    reactions: dict[tuple[str, str], int] = field(default_factory=dict)
    id: int = field(default_factory=next_id)
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)


@dataclass
class Issue:
    """An issue, or the part of a pull request that is one."""

    number: int
    user: User
    title: str
    body: str
    state: str = "open"
    labels: list[str] = field(default_factory=list)
    assignees: list[User] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    id: int = field(default_factory=next_id)
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)


@dataclass
class Review:
    """`state` is APPROVED, CHANGES_REQUESTED or COMMENTED."""

    user: User
    body: str
    state: str
    commit_id: str
    id: int = field(default_factory=next_id)
    submitted_at: datetime = field(default_factory=now)


@dataclass
class ReviewComment:
    user: User
    body: str
    path: str
    line: int
    commit_id: str
    review_id: int | None = None
    in_reply_to: int | None = None
    id: int = field(default_factory=next_id)
    created_at: datetime = field(default_factory=now)


@dataclass
class Pull:
    """A pull request; title, body, labels and comments are its issue's. `head_sha` is kept once it is not open.

    `fork`: where the branch is, if not in the repository itself.
    """

    issue: Issue
    head: str
    base: str
    draft: bool
    head_sha: str
    base_sha: str
    merged_at: datetime | None = None
    fork: "Repository | None" = None
    reviewers: list[str] = field(default_factory=list)
    teams: list[str] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    comments: list[ReviewComment] = field(default_factory=list)
    id: int = field(default_factory=next_id)


@dataclass
class CheckRun:
    """`app` is the slug of whoever made it; `log` is what an Actions job printed."""

    app: str
    head_sha: str
    name: str
    external_id: str = ""
    status: str = "queued"
    conclusion: str | None = None
    output: dict[str, Any] = field(default_factory=dict)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    log: str | None = None
    id: int = field(default_factory=next_id)
    started_at: datetime = field(default_factory=now)


@dataclass
class Repository:
    """`folder` is the bare repository; `permissions` says by login what people may do, `teams` which ones it has."""

    owner: User
    name: str
    folder: Path
    private: bool = True
    default_branch: str = "main"
    drafts: bool = True
    permissions: dict[str, str] = field(default_factory=dict)
    teams: set[str] = field(default_factory=set)
    issues: dict[int, Issue] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    checks: list[CheckRun] = field(default_factory=list)
    statuses: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    id: int = field(default_factory=next_id)
    created_at: datetime = field(default_factory=now)

    @property
    def full_name(self) -> str:
        return f"{self.owner.login}/{self.name}"

    def next_number(self) -> int:
        """Issues and pull requests share their numbers."""
        return max(self.issues, default=0) + 1


@dataclass
class Exchange:
    """One request and its answer. `route` is the template of GitHub's description, such as `/repos/{owner}/{repo}`."""

    method: str
    route: str
    path: str
    sent: Any
    status: int
    answer: Any
    fault: str | None


@dataclass
class World:
    """Everything.

    `conversions` are apps that wait behind a manifest's code, `others` those of foreign checks, `former` repositories
    by old names.
    """

    users: dict[str, User] = field(default_factory=dict)
    apps: list[App] = field(default_factory=list)
    installations: list[Installation] = field(default_factory=list)
    repositories: list[Repository] = field(default_factory=list)
    former: dict[str, Repository] = field(default_factory=dict)
    tokens: list[Token] = field(default_factory=list)
    others: dict[str, App] = field(default_factory=dict)
    conversions: dict[str, dict[str, Any]] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    git_pushes: list[str] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    remaining: int = 5000

    def user(self, login: str, kind: str = "User") -> User:
        """The user of that name, made when there is none yet."""
        return self.users.setdefault(login, User(login, kind))

    def repository(self, owner: str, name: str) -> Repository | None:
        """By name, as GitHub does, without regard to case."""
        wanted = f"{owner}/{name}".lower()
        return next((repo for repo in self.repositories if repo.full_name.lower() == wanted), None)
