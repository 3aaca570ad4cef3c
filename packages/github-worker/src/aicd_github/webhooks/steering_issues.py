"""What happens to an issue: a label or an assignment starts its job; its end ends it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from aicd_core.deliveries.values import HANDLED, Outcome, ignored
from aicd_core.jobs.artifacts.repository import get_artifact
from aicd_core.jobs.machine import TERMINAL, JobState
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.values import JobView
from aicd_core.tenancy.triggers import BOT_SUFFIX
from aicd_github.webhooks.events import IssueEvent
from aicd_github.webhooks.places import Place, Places
from aicd_github.webhooks.routing import Arrival, Route
from aicd_github.webhooks.steering_gate import Gate
from aicd_github.webhooks.steering_jobs import Act, NotStartedError, Steering, text_of

OTHER_LABEL = ignored("other_label", "The label is not the one that starts jobs (AICD_GITHUB_LABEL).")
OTHER_ASSIGNEE = ignored("other_assignee", "It was assigned to somebody else.")
NO_JOB = ignored("no_job", "The issue has no job that this could be about.")
HAS_PULL = ignored("pull_request_open", "The job has a pull request: what becomes of that decides.")
REOPENED = ignored("reopened", "The issue is open by now.")
TAKEN_BACK = ignored("taken_back", "The label, or the assignment, is not there any more.")
NOT_ISSUE = ignored("not_an_issue", "There is no such issue any more, or it is a pull request.")
_GONE = {
    "closed": "The issue was closed.",
    "transferred": "The issue was transferred to another repository.",
    "deleted": "The issue was deleted.",
}


@dataclass(frozen=True)
class IssueHandlers:
    """Starts and ends jobs.

    Args:
        label: the one that starts a job.
    """

    places: Places
    gate: Gate
    steering: Steering
    label: str

    def routes(self) -> tuple[Route[IssueEvent], ...]:
        """For the router."""
        return (
            Route(IssueEvent, ("labeled",), self.on_label),
            Route(IssueEvent, ("assigned",), self.on_assignment),
            Route(IssueEvent, ("edited",), self.on_edit),
            Route(IssueEvent, tuple(_GONE), self.on_end),
        )

    async def on_label(self, arrival: Arrival, event: IssueEvent) -> Outcome:
        """Starts a job where the label is the right one, and still there."""
        if event.label is None or event.label.name.lower() != self.label.lower():
            return OTHER_LABEL
        place = await self.places.of(arrival, event)
        if isinstance(place, Outcome):
            return place
        return await self._start(arrival, event, place, "the label", label=event.label.name)

    async def on_assignment(self, arrival: Arrival, event: IssueEvent) -> Outcome:
        """Starts a job where our own account was assigned, and still is."""
        if event.assignee is None:
            return OTHER_ASSIGNEE
        place = await self.places.of(arrival, event)
        if isinstance(place, Outcome):
            return place
        if _plain(event.assignee.login) != _plain(await place.desk.login()):
            return OTHER_ASSIGNEE
        return await self._start(arrival, event, place, "the assignment", assignee=event.assignee.login)

    async def on_edit(self, arrival: Arrival, event: IssueEvent) -> Outcome:
        """A job keeps the text that it began with; the issue says so."""
        if event.changes.title is None and event.changes.body is None:
            return NO_JOB
        place = await self.places.of(arrival, event)
        if isinstance(place, Outcome):
            return place
        act = _act(arrival, event, place, "the edit")
        job = (await self.steering.story(act)).job
        if job is None or job.state in TERMINAL | {JobState.PR_OPEN}:
            return NO_JOB
        settings = self.steering.parts.settings
        if text_of(event.issue.title, event.issue.body or "", settings.issue_max_bytes).body == job.body:
            return HANDLED
        words = "The job keeps the text that it began with. `/aicd stop` and then `/aicd retry` take the new one."
        await self.steering.answer(act, job, words)
        return HANDLED

    async def on_end(self, arrival: Arrival, event: IssueEvent) -> Outcome:
        """Ends a job that has no pull request yet."""
        place = await self.places.of(arrival, event)
        if isinstance(place, Outcome):
            return place
        act = _act(arrival, event, place, "the end of the issue")
        story = await self.steering.story(act)
        if story.job is None or (story.job.state in TERMINAL):
            return NO_JOB
        if await self._has_pull(place, story.job):
            return HAS_PULL
        if event.action == "closed":
            issue = await place.desk.issue(event.issue.number)
            if issue is not None and issue.open:
                return REOPENED
        await self.steering.control(act).cancel(story.job.id, _GONE[event.action or "closed"])
        return HANDLED

    async def _start(
        self,
        arrival: Arrival,
        event: IssueEvent,
        place: Place,
        what: str,
        *,
        label: str | None = None,
        assignee: str | None = None,
    ) -> Outcome:
        """Starts a job, if whoever acted may, and what was done is not taken back by now."""
        decision = await self.gate.decide(place, event.sender)
        if not decision.allowed:
            return ignored(decision.code or "trigger_refused", decision.reason or "")
        issue = await place.desk.issue(event.issue.number)
        if issue is None:
            return NOT_ISSUE
        if (label is not None and label not in issue.labels) or (assignee and assignee not in issue.assignees):
            return TAKEN_BACK
        act = _act(arrival, event, place, what)
        story = await self.steering.story(act)
        if story.did(act, None):
            return HANDLED
        if story.is_newer_than(act):
            return ignored("later_job", "A job of the issue began later, by something else.")
        try:
            job = await self.steering.begin(act, story, asks_approval=False, issue=issue)
        except NotStartedError as error:
            await self.steering.answer(act, story.job, f"{error}")
            return ignored("not_started", f"{error}"[:500])
        await self.steering.control(act).tell(job)
        return HANDLED

    async def _has_pull(self, place: Place, job: JobView) -> bool:
        async with self.steering.parts.database.read(place.tenant) as session:
            return await get_artifact(session, place.tenant, job.id, ArtifactKind.PULL_REQUEST) is not None


def _act(arrival: Arrival, event: IssueEvent, place: Place, what: str) -> Act:
    login, at = event.sender.login if event.sender else "somebody", event.occurred_at or datetime.now(UTC)
    return Act(place, event.issue.number, login, at, what, arrival.delivery.id)


def _plain(login: str) -> str:
    """An account as people write it: an App's without its ending."""
    return login.lower().removesuffix(BOT_SUFFIX)
