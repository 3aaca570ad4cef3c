"""What steering asks of a repository's issues and pull requests, apart from what jobs do there."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

from aicd_core.contracts import CodeHost
from aicd_core.ids import JobId
from aicd_core.tenancy.triggers import RepositoryPermission

_BRANCH = "aicd/"
Reaction = Literal["eyes", "+1", "confused"]
PullState = Literal["open", "merged", "closed"]


@dataclass(frozen=True)
class IssueNow:
    """An issue as it is at this moment; its text is data from outside, uncleaned."""

    title: str
    body: str
    open: bool
    labels: frozenset[str]
    assignees: frozenset[str]


class Desk(Protocol):
    """One repository's. Each method raises AicdError where the host refuses, or does not answer."""

    async def login(self) -> str:
        """Our own account's name there."""
        ...

    async def name_now(self) -> str:
        """The repository's `owner/name` at this moment.

        Raises:
            AicdError: it is called otherwise by now.
        """
        ...

    async def permission_of(self, login: str) -> RepositoryPermission:
        """What an account may do with the repository at this moment."""
        ...

    async def issue(self, number: int) -> IssueNow | None:
        """An issue; None when there is none (any more), or it is a pull request."""
        ...

    async def pull_state(self, job_id: JobId) -> PullState | None:
        """How the job's pull request is; None when there is none."""
        ...

    async def job_of_pull(self, number: int) -> JobId | None:
        """The job on whose branch a pull request stands; None when it is on another one, or on a fork's."""
        ...

    async def react(self, comment: int, reaction: Reaction) -> None:
        """Puts our reaction on a comment, once; a comment that is gone is left alone."""
        ...

    async def say(self, issue: int, text: str) -> None:
        """Has the living comment of an issue say this, in Markdown."""
        ...


class SteeredHost(CodeHost, Protocol):
    """A code host with a desk."""

    @property
    def desk(self) -> Desk: ...


def job_of_branch(ref: str) -> JobId | None:
    """The job whose branch has this name, as `JobView.branch` names it; None when it is none of ours."""
    with suppress(ValueError):
        found = JobId(UUID(ref.removeprefix(_BRANCH)))
        return found if ref == f"{_BRANCH}{found}" else None
    return None
