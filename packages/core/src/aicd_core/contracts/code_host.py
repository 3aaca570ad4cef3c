"""Where repositories and pull requests live, and the host's own view of a work tree."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Literal, Protocol

from aicd_core.contracts.change import ChangeSet
from aicd_core.contracts.egress import Denial
from aicd_core.contracts.sandbox import Phase
from aicd_core.contracts.values import GitSha, Value
from aicd_core.contracts.workspace import Workspace
from aicd_core.ids import JobId


class Base(Value):
    """What a job starts from: a branch and the commit it pointed to when the job was made."""

    branch: str
    sha: GitSha


class CommitRequest(Value):
    """A commit to be made of a captured tree. Same request, same object name: all dates are given."""

    change_set: ChangeSet
    message: str
    when: datetime


Level = Literal["notice", "warning", "failure"]


class Annotation(Value):
    """A remark on a line of a changed file."""

    path: str
    line: int
    level: Level
    title: str
    message: str


class PullRequestDraft(Value):
    """What a pull request should say, and whatever else a host can show of it.

    `evidence` is the file of its signed evidence bundle, to be attached as it is. `issue`: the number of the issue that
    it settles. `paths`: what is changed, for whoever owns it. `verdict`, a line, and `annotations` are for a check of
    its own; a host without checks leaves them out.
    """

    title: str
    body: str
    draft: bool
    evidence: bytes | None = None
    issue: int | None = None
    paths: tuple[str, ...] = ()
    verdict: str = ""
    annotations: tuple[Annotation, ...] = ()


class PullRequest(Value):
    """A pull request that exists. `evidence_url`: where its evidence bundle is attached."""

    url: str
    number: int
    draft: bool
    branch: str
    head_sha: GitSha
    base_branch: str
    evidence_url: str | None = None


class ThreadComment(Value):
    """What somebody said; `id` is the host's number of it."""

    id: int
    author: str
    body: str


class Thread(Value):
    """A discussion on a line of a pull request, oldest comment first. Only its last word may want an answer.

    `answered`: the last word is this product's.
    """

    id: int
    path: str
    line: int | None
    comments: tuple[ThreadComment, ...]
    answered: bool


class HostReview(Value):
    """A whole review by a person: `approved`, `changes_requested` or `commented`."""

    id: int
    author: str
    verdict: str
    body: str
    head_sha: str


class FailedCheck(Value):
    """A check that is red on the pull request's head; `log` is the end of what it printed, as far as it can be read."""

    name: str
    summary: str
    log: str
    url: str | None = None


class HostFeedback(Value):
    """What people and checks said about a job's pull request, as it is now. Text is data from outside, uncleaned.

    `state` is that of the pull request; None when the job has none. `head_sha` is where its branch is, `foreign`
    whether somebody else pushed there.
    """

    state: Literal["open", "merged", "closed"] | None = None
    number: int | None = None
    head_sha: str | None = None
    foreign: bool = False
    threads: tuple[Thread, ...] = ()
    reviews: tuple[HostReview, ...] = ()
    failed_checks: tuple[FailedCheck, ...] = ()


Confirm = Callable[[], Awaitable[None]]
"""Makes sure, by raising, that a job is still the caller's."""


async def always() -> None:
    """A `Confirm` for whoever cannot lose the job."""


class Checkout(Protocol):
    """A job's work tree as the Body sees it; the agent only ever gets `workspace`."""

    @property
    def workspace(self) -> Workspace: ...

    async def restore(self, change_set: ChangeSet | None) -> None:
        """Lays the tree as at the base commit plus the given change; every process in it ends."""
        ...

    @property
    def denials(self) -> tuple[Denial, ...]:
        """What commands were refused on their way out since the tree was laid, each once."""
        ...

    async def enter(self, phase: Phase, hosts: Sequence[str], refused: Sequence[str] = ()) -> None:
        """Says what the commands from now on are for and which hosts they reach when they ask for the network.

        `refused` are hosts that the organisation forbids; see `SandboxSession.run`.

        In SETUP the dependency cache is a copy that commands can change; in CODING it is the shared one, read-only,
        unless set-up ran in the same sandbox before.
        """
        ...

    async def keep_cache(self) -> None:
        """Shows what set-up put into its copy of the cache to later jobs of this repository in this organization."""
        ...

    async def close_sandbox(self) -> None:
        """Ends every process that runs in the tree. The next command begins with a new sandbox."""
        ...

    async def capture(self, planned: Collection[str], on_taken: Callable[[], None] = ...) -> ChangeSet:
        """Measures the tree against the base.

        New files that the repository ignores are left out unless they are in `planned`.

        Args:
            on_taken: called when the tree has been read: from then on it may be changed, what is measured is what it
                was. Not called when the tree is refused before.

        Raises:
            StepFailedError: the tree holds what must never be committed (a nested repository, a symlink
                that leads out of the tree).
        """
        ...

    async def paths_at_base(self) -> frozenset[str]:
        """Every file path of the base commit."""
        ...

    async def read_at_base(self, path: str) -> bytes | None:
        """A file of the base commit, whatever the tree holds now; None when there is none."""
        ...

    async def commit(self, request: CommitRequest) -> GitSha:
        """Makes the commit on top of the base, or finds that it is already there."""
        ...


class CodeHost(Protocol):
    """One repository on one host. Every effect is found again before it is repeated."""

    async def resolve_base(self, branch: str | None) -> Base:
        """The named branch, or the one that is checked out.

        Raises:
            InvalidInputError: no such branch, nothing committed yet, detached HEAD and no branch named.
        """
        ...

    def hold(self, job_id: JobId) -> AbstractAsyncContextManager[object]:
        """Keeps everybody else on this machine out of the job's work tree, for the length of the block.

        Raises:
            UnavailableError: somebody has it and does not leave: a worker that was stopped past its lease.
        """
        ...

    async def open(self, job_id: JobId, base_sha: GitSha) -> Checkout:
        """A work tree for the job at the base commit: made, or taken over from an earlier attempt."""
        ...

    async def publish(
        self,
        job_id: JobId,
        checkout: Checkout,
        head_sha: GitSha,
        base: Base,
        draft: PullRequestDraft,
        confirm: Confirm = always,
    ) -> PullRequest:
        """Pushes `aicd/<job>` and opens the pull request, or brings both up to date.

        Args:
            confirm: asked between the two: a job that was ended meanwhile gets no pull request.
        """
        ...

    async def report(self, job_id: JobId, issue: int, text: str) -> None:
        """Says in the one comment on the issue that is this product's how the job is; a host without issues does not.

        Args:
            text: Markdown, which takes the place of what the comment said before.
        """
        ...

    async def read_feedback(self, job_id: JobId) -> HostFeedback:
        """What people and checks said about the job's pull request."""
        ...

    async def answer(self, job_id: JobId, thread: int, text: str) -> None:
        """Answers a thread of the job's pull request; the same answer, given twice, is there once.

        Raises:
            InvalidInputError: code `no_such_thread`.
        """
        ...

    async def withdraw(self, job_id: JobId) -> None:
        """Deletes the job's branch if no pull request stands on it. Does nothing when there is none."""
        ...

    async def close(self, job_id: JobId) -> None:
        """Removes the job's work tree from this machine."""
        ...
