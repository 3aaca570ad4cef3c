"""What people and checks say about a pull request: as its host has it, and as a round of work takes it up."""

from typing import Literal

from aicd_core.contracts.values import GitSha, Value


class ThreadComment(Value):
    """What somebody said; `id` is the host's number of it.

    `to_us`: it addresses this product by name. `review` is the number of the review that it came with.
    """

    id: int
    author: str
    body: str
    to_us: bool = False
    review: int | None = None


class Thread(Value):
    """A discussion on a line of a pull request, oldest comment first. `start_line`: of several lines the first.

    `answered`: the last word is this product's.
    """

    id: int
    path: str
    line: int | None
    comments: tuple[ThreadComment, ...]
    answered: bool
    start_line: int | None = None


class HostReview(Value):
    """A whole review by a person: `approved`, `changes_requested` or `commented`; `to_us` as of a comment."""

    id: int
    author: str
    verdict: str
    body: str
    head_sha: str
    to_us: bool = False


class FailedCheck(Value):
    """A check that is red on the pull request's head; `log` is the end of what it printed, as far as it can be read.

    `key` names it for good: the same check on another commit has the same one.
    """

    key: str
    name: str
    summary: str
    log: str
    url: str | None = None


class HostPerson(Value):
    """Whoever said something. `permission` on the repository, asked of the host just now, None when it does not say.

    `ourselves`: it is this product's own account.
    """

    login: str
    kind: Literal["person", "bot", "other"]
    permission: str | None
    ourselves: bool = False


class HostFeedback(Value):
    """What people and checks said about a job's pull request, as it is now. Text is data from outside, uncleaned.

    `state` is that of the pull request; None when the job has none. `head_sha` is where its branch is, `foreign`
    whether somebody else pushed there. `mergeable` is None while the host does not know. `comments` are those below the
    pull request that address this product, commands left out. `people` has everybody who said something.
    """

    state: Literal["open", "merged", "closed"] | None = None
    number: int | None = None
    head_sha: str | None = None
    foreign: bool = False
    mergeable: bool | None = None
    threads: tuple[Thread, ...] = ()
    reviews: tuple[HostReview, ...] = ()
    comments: tuple[ThreadComment, ...] = ()
    failed_checks: tuple[FailedCheck, ...] = ()
    people: tuple[HostPerson, ...] = ()


class Unheard(Value):
    """A thread that is not worked on: the comment that gets an answer, and the answer."""

    thread: int
    comment: int
    reason: str


class OutsideFeedback(Value):
    """What one round of work takes up of the feedback on its pull request, as it was when the round began.

    Text is cleaned of what a page does not show, and comes from people who may ask for work; it is data all the same.

    Args:
        round: the round that began with it; the rounds after it, up to the next feedback, are on it, too.
        published_round: the round that the pull request showed.
        head_sha: where the branch was: the new commit stands on it.
        start_sha: what the change is measured from: the job's base, or a commit of somebody else's on the branch.
        merged_sha: the tip of the base branch, where that does not merge into the branch by itself: this round brings
            it in, and `start_sha` is it. The tree then begins with both sides of each conflict between git's markers.
        unheard: threads that get an answer only.
        seen: names everything that this round dealt with, so that none of it begins another one.
    """

    round: int
    published_round: int
    head_sha: GitSha
    start_sha: GitSha
    reviews: tuple[HostReview, ...] = ()
    threads: tuple[Thread, ...] = ()
    comments: tuple[ThreadComment, ...] = ()
    failed_checks: tuple[FailedCheck, ...] = ()
    merged_sha: GitSha | None = None
    unheard: tuple[Unheard, ...] = ()
    seen: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to work on: what was said has been taken back meanwhile."""
        return not (self.reviews or self.threads or self.comments or self.failed_checks or self.merged_sha)

    @property
    def parents(self) -> tuple[GitSha, ...]:
        """What the round's commit stands on."""
        return (self.head_sha,) if self.merged_sha is None else (self.head_sha, self.merged_sha)
