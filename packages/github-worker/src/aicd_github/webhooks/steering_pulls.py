"""What a person decides about a job's pull request: merged or closed, it ends the job."""

from dataclasses import dataclass

from aicd_core.deliveries.values import HANDLED, Outcome, ignored
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.machine import TERMINAL, JobEvent
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator import Control
from aicd_github.desk import job_of_branch
from aicd_github.webhooks.events import PullRequestEvent
from aicd_github.webhooks.places import Place, Places
from aicd_github.webhooks.routing import Arrival, Route
from aicd_github.webhooks.steering_jobs import Steering

NOT_OURS = ignored("not_our_pull_request", "The pull request is no job's.")
ENDED = ignored("job_ended", "The job has ended already. `/aicd retry` on its issue starts anew.")
GOES_ON = ignored("job_open", "The job of the pull request goes on.")
STILL_OPEN = ignored("reopened", "The pull request is open by now.")


@dataclass(frozen=True)
class PullHandlers:
    """Ends jobs whose pull request was decided about."""

    places: Places
    steering: Steering

    def routes(self) -> tuple[Route[PullRequestEvent], ...]:
        """For the router."""
        return (
            Route(PullRequestEvent, ("closed",), self.on_close),
            Route(PullRequestEvent, ("reopened",), self.on_reopen),
        )

    async def on_close(self, arrival: Arrival, event: PullRequestEvent) -> Outcome:
        """Ends the job as the pull request is now, whatever this event says: events come late, and twice."""
        place = await self.places.of(arrival, event)
        if isinstance(place, Outcome):
            return place
        job = await self._job(place, event)
        if job is None:
            return NOT_OURS
        if job.state in TERMINAL:
            return ENDED
        state = await place.desk.pull_state(job.id)
        if state not in ("merged", "closed"):
            return STILL_OPEN
        who = event.sender.login if event.sender else "somebody"
        control = Control(self.steering.parts, place.tenant, f"{who} on GitHub", {"delivery": str(arrival.delivery.id)})
        end = JobEvent.MERGED if state == "merged" else JobEvent.CLOSED
        number = event.pull_request.number
        await control.conclude(job.id, end, f"Pull request #{number} was {state} by {who}.")
        return HANDLED

    async def on_reopen(self, arrival: Arrival, event: PullRequestEvent) -> Outcome:
        """Changes nothing: a job that ended with its pull request does not come back with it."""
        place = await self.places.of(arrival, event)
        if isinstance(place, Outcome):
            return place
        job = await self._job(place, event)
        if job is None:
            return NOT_OURS
        return ENDED if job.state in TERMINAL else GOES_ON

    async def _job(self, place: Place, event: PullRequestEvent) -> JobView | None:
        """The job on whose branch the pull request stands; a fork's branch of the same name is nobody's."""
        head = event.pull_request.head
        job_id = job_of_branch(head.ref)
        if job_id is None or head.repo is None or head.repo.id != event.repository.id:
            return None
        async with self.steering.parts.database.read(place.tenant) as session:
            job = await jobs.get_job(session, place.tenant, job_id)
        return job if job is not None and job.repository_id == place.repository.id else None
