"""What of a pull request's feedback counts: whose it is, whether it asks for work, and whether it is new. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from aicd_core.contracts import FailedCheck, HostFeedback, HostReview, Thread, ThreadComment, Unheard
from aicd_core.contracts.outside import HostPerson
from aicd_core.tenancy.triggers import (
    RepositoryPermission,
    TriggerActor,
    TriggerActorKind,
    TriggerDecision,
    TriggerRules,
    may_trigger,
)

CHANGES = "changes_requested"
MOST = 50
"""Reviews, threads, comments and checks of a round, each; what is beyond that stays for the next one."""
UNKNOWN = HostPerson(login="ghost", kind="other", permission=None)


@dataclass(frozen=True)
class Judged:
    """What a round would be given.

    `calls`: it is a reason to begin one. `seen` names all that it deals with; see `OutsideFeedback.seen`.
    """

    reviews: tuple[HostReview, ...]
    threads: tuple[Thread, ...]
    comments: tuple[ThreadComment, ...]
    failed_checks: tuple[FailedCheck, ...]
    unheard: tuple[Unheard, ...]
    seen: tuple[str, ...]
    calls: bool


def judge(found: HostFeedback, seen: frozenset[str], rules: TriggerRules) -> Judged:
    """What counts of the feedback beside what earlier rounds have `seen`.

    A round is begun by a review that asks for changes, by whatever addresses this product by name or answers it, and by
    a check that is red on this very commit. It is then given every new word of people who may ask for work, and nobody
    else's; a thread in which only others spoke gets an answer that says why.
    """
    people = {person.login: person for person in found.people}
    decisions = {login: may_trigger(_actor(person), rules) for login, person in people.items()}
    refused = may_trigger(_actor(UNKNOWN), rules)

    def may(login: str) -> TriggerDecision:
        return decisions.get(login, refused)

    standing = (review for review in _standing(found.reviews) if may(review.author).allowed)
    reviews = tuple(review for review in standing if named(review) not in seen)[:MOST]
    asking = frozenset(review.id for review in reviews if review.verdict == CHANGES)
    judged = [_Judged.of(thread, seen, may, people) for thread in found.threads]
    threads = [thread for thread in judged if thread.news][:MOST]
    unheard = tuple(thread.unheard for thread in judged if thread.unheard is not None)[:MOST]
    comments = tuple(said for said in found.comments if _said(said) not in seen and may(said.author).allowed)[:MOST]
    checks = tuple(check for check in found.failed_checks if _red(check, found.head_sha) not in seen)[:MOST]
    dealt_with = (
        *map(named, reviews),
        *(_commented(comment) for thread in threads for comment in thread.news),
        *(f"comment:{answer.comment}" for answer in unheard),
        *map(_said, comments),
        *(_red(check, found.head_sha) for check in checks),
    )
    return Judged(
        reviews=reviews,
        threads=tuple(thread.shown for thread in threads),
        comments=comments,
        failed_checks=checks,
        unheard=unheard,
        seen=dealt_with,
        calls=bool(reviews or comments or checks) or any(thread.calls(asking) for thread in threads),
    )


def named(review: HostReview) -> str:
    """What a review is called in `OutsideFeedback.seen`."""
    return f"review:{review.id}"


def _said(comment: ThreadComment) -> str:
    return f"said:{comment.id}"


def _commented(comment: ThreadComment) -> str:
    return f"comment:{comment.id}"


def _red(check: FailedCheck, head_sha: str | None) -> str:
    """A check by its commit: the same one that is still red, or red again, on an unchanged head is no news."""
    return f"check:{head_sha}:{check.key}"


def _actor(person: HostPerson) -> TriggerActor:
    known = [one for one in RepositoryPermission if one == person.permission]
    permission = known[0] if known else None
    return TriggerActor(person.login, TriggerActorKind(person.kind), permission, ourselves=person.ourselves)


def _standing(reviews: Iterable[HostReview]) -> Iterator[HostReview]:
    """Reviews that ask for something: changes that their author has not approved since, or what is said to us."""
    in_order = sorted(reviews, key=lambda review: review.id)
    for place, review in enumerate(in_order):
        later = in_order[place + 1 :]
        approved = any(other.author == review.author and other.verdict == "approved" for other in later)
        if (review.verdict == CHANGES and not approved) or review.to_us:
            yield review


@dataclass(frozen=True)
class _Judged:
    """A thread: what is new in it by people who count, as it is shown, and the answer where nobody of them spoke."""

    shown: Thread
    news: tuple[ThreadComment, ...]
    unheard: Unheard | None
    ours: bool

    @classmethod
    def of(
        cls,
        thread: Thread,
        seen: frozenset[str],
        may: Callable[[str], TriggerDecision],
        people: dict[str, HostPerson],
    ) -> "_Judged":
        own = {said.id for said in thread.comments if people.get(said.author, UNKNOWN).ourselves}
        new = [said for said in thread.comments if _commented(said) not in seen and said.id not in own]
        news = tuple(said for said in new if may(said.author).allowed)
        # Up to the last word of theirs, which is the one that is answered.
        last = thread.comments.index(news[-1]) + 1 if news else 0
        heard = tuple(said for said in thread.comments[:last] if said.id in own or may(said.author).allowed)
        unheard = None
        if new and not news and not thread.answered:
            reason = may(new[-1].author).reason or "Nobody who may ask for work asked for this."
            unheard = Unheard(thread=thread.id, comment=new[-1].id, reason=reason)
        return cls(thread.model_copy(update={"comments": heard}), news, unheard, bool(own))

    def calls(self, asking: frozenset[int]) -> bool:
        """Whether a round is begun for it: it speaks to us, goes with a review that asks for changes, or answers us."""
        return any(said.to_us or said.review in asking or self.ours for said in self.news)
