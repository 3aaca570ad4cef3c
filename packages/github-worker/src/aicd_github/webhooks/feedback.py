"""Handlers of what may be feedback on a pull request. They have it looked at: what counts, the look decides."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aicd_core.db.database import Database
from aicd_core.deliveries.values import HANDLED, Outcome, ignored
from aicd_core.ids import JobId
from aicd_core.jobs.looks import repository as looks
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.repositories.repository import find_by_number, find_repository
from aicd_github.desk import job_of_branch
from aicd_github.webhooks.events import (
    CheckRunEvent,
    CheckSuiteEvent,
    CommentEvent,
    PullRequestEvent,
    PushEvent,
    ReviewCommentEvent,
    ReviewEvent,
    StatusEvent,
)
from aicd_github.webhooks.installations import clone_url
from aicd_github.webhooks.places import Places
from aicd_github.webhooks.routing import Arrival, Route

RED = frozenset({"failure", "timed_out", "startup_failure"})
RED_STATES = frozenset({"failure", "error"})
HEADS = "refs/heads/"
NOT_OURS = ignored("not_ours", "This is about no pull request of a job that goes on.")
NOT_RED = ignored("not_red", "Nothing is done on checks that are not red.")
OWN_PUSH = ignored("own_push", "AI-CD pushed this itself.")
NOT_TO_US = ignored("not_to_us", "It does not call AI-CD by its name, or holds commands.")


@dataclass(frozen=True)
class FeedbackHandlers:
    """Notes that pull requests are to be looked at.

    Args:
        delay: seconds for more to come in before the look.
    """

    database: Database
    places: Places
    delay: float

    def routes(self) -> Iterable[Route[Any]]:
        """For the router."""
        return (
            Route(ReviewEvent, ("submitted",), self.reviewed),
            Route(ReviewCommentEvent, ("created",), self.reviewed),
            Route(CommentEvent, ("created",), self.commented),
            Route(CheckRunEvent, ("completed",), self.checked),
            Route(CheckSuiteEvent, ("completed",), self.suite_checked),
            Route(StatusEvent, (None,), self.status_set),
            Route(PullRequestEvent, ("synchronize",), self.synchronized),
            Route(PushEvent, (None,), self.pushed),
        )

    async def reviewed(self, arrival: Arrival, event: ReviewEvent | ReviewCommentEvent) -> Outcome:
        """A review, or a comment on a line."""
        return await self._look(arrival.tenant, _job_of(event))

    async def commented(self, arrival: Arrival, event: CommentEvent) -> Outcome:
        """A comment below a pull request that calls somebody, and is no command; whom it calls, GitHub is not asked."""
        if not event.issue.is_pull_request:
            return NOT_OURS
        if event.commands or "@" not in (event.text or ""):
            return NOT_TO_US
        place = await self.places.of(arrival, event)
        if isinstance(place, Outcome):
            return place
        return await self._look(arrival.tenant, await place.desk.job_of_pull(event.issue.number))

    async def checked(self, arrival: Arrival, event: CheckRunEvent) -> Outcome:
        """A check has ended."""
        if event.check_run.conclusion not in RED:
            return NOT_RED
        suite = event.check_run.check_suite
        return await self._look(arrival.tenant, job_of_branch((suite.head_branch if suite else None) or ""))

    async def suite_checked(self, arrival: Arrival, event: CheckSuiteEvent) -> Outcome:
        """All checks of an App have ended."""
        if event.check_suite.conclusion not in RED:
            return NOT_RED
        return await self._look(arrival.tenant, job_of_branch(event.check_suite.head_branch or ""))

    async def status_set(self, arrival: Arrival, event: StatusEvent) -> Outcome:
        """A commit got a status."""
        if event.state not in RED_STATES:
            return NOT_RED
        found = filter(None, (job_of_branch(branch.name) for branch in event.branches))
        return await self._look(arrival.tenant, next(found, None))

    async def synchronized(self, arrival: Arrival, event: PullRequestEvent) -> Outcome:
        """Somebody pushed to the branch. That stays; but what it holds now may not merge any more."""
        place = await self.places.of(arrival, event)
        if isinstance(place, Outcome):
            return place
        if event.sender and event.sender.login.lower() == (await place.desk.login()).lower():
            return OWN_PUSH
        return await self._look(arrival.tenant, _job_of(event))

    async def pushed(self, arrival: Arrival, event: PushEvent) -> Outcome:
        """A branch moved: whatever is to be merged into it may not merge any more."""
        branch, tenant = event.ref.removeprefix(HEADS), arrival.tenant
        async with self.database.write(tenant) as session:
            source = clone_url(self.places.api_url, event.repository.full_name)
            known = await find_by_number(session, tenant, event.repository.id)
            repository = known or await find_repository(session, tenant, source)
            if repository is None or branch == event.ref or event.deleted:
                return NOT_OURS
            found = await looks.ask_for_looks(session, tenant, repository.id, branch, self.delay)
        return HANDLED if found else NOT_OURS

    async def _look(self, tenant: Tenant, job_id: JobId | None) -> Outcome:
        if job_id is None:
            return NOT_OURS
        async with self.database.write(tenant) as session:
            asked = await looks.ask_for_look(session, tenant, job_id, self.delay)
        return HANDLED if asked else NOT_OURS


def _job_of(event: ReviewEvent | ReviewCommentEvent | PullRequestEvent) -> JobId | None:
    """The job on whose branch the pull request stands; a fork's branch of the same name is nobody's."""
    head = event.pull_request.head
    own = head.repo is not None and head.repo.id == event.repository.id
    return job_of_branch(head.ref) if own else None
