"""What somebody did on an issue, the job that it is about, and the answer: what all of steering shares."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aicd_core.errors import ConflictError, InvalidInputError, StoppedError
from aicd_core.ids import DeliveryId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.machine import JobEvent
from aicd_core.jobs.values import EventView, JobView, key_of_number
from aicd_core.orchestrator import Control, Intake, IssueText, Order, Parts
from aicd_github.desk import IssueNow
from aicd_github.webhooks import steering_words
from aicd_github.webhooks.places import Place

SKEW = timedelta(seconds=30)
"""How far GitHub's clock may be behind ours."""
_NOT_STARTED = frozenset({"disabled", "organization_deleted"})


@dataclass(frozen=True)
class Act:
    """What somebody did on an issue.

    Args:
        number: the issue's.
        login: who did it, `at` when, by GitHub's clock, to the second.
        what: in Markdown, to name it in an answer.
        delivery: which it came with.
    """

    place: Place
    number: int
    login: str
    at: datetime
    what: str
    delivery: DeliveryId


class NotStartedError(Exception):
    """No job could be started; says why, for whoever asked."""


@dataclass(frozen=True)
class Story:
    """The newest job of an issue with its history; `job` is None where it never had one."""

    job: JobView | None
    events: Sequence[EventView] = ()

    def did(self, act: Act, event: JobEvent | None) -> bool:
        """Whether this act made the event, or the job (None): its delivery was handled before, up to there."""
        return any(each.event is event and each.detail.get("delivery") == str(act.delivery) for each in self.events)

    def is_newer_than(self, act: Act) -> bool:
        """Whether the job began after the act, which then cannot have been about it."""
        return self.job is not None and not self.did(act, None) and self.job.created_at > act.at + SKEW


@dataclass(frozen=True)
class Steering:
    """Starts jobs, finds them, and answers."""

    parts: Parts

    def control(self, act: Act) -> Control:
        """Decisions in the name of whoever acted."""
        return Control(self.parts, act.place.tenant, f"{act.login} on GitHub", {"delivery": str(act.delivery)})

    async def story(self, act: Act) -> Story:
        """The newest job of the issue."""
        tenant, key = act.place.tenant, key_of_number(act.number)
        async with self.parts.database.read(tenant) as session:
            job = await jobs.find_newest(session, tenant, act.place.repository.id, key)
            return Story(job, await jobs.list_events(session, tenant, job.id)) if job else Story(None)

    async def begin(self, act: Act, story: Story, *, asks_approval: bool, issue: IssueNow | None = None) -> JobView:
        """The issue's open job, or a new one of its present text on the present base.

        Args:
            story: the issue's so far. Before its first job the living comment is made: a worker that takes the job up
                at once, and this process, would else both find none, and make two.

        Raises:
            NotStartedError: the issue is closed or gone, the repository cannot be worked on, or the organization may
                not have work done.
            AicdError: GitHub or Postgres is away.
        """
        issue = issue or await act.place.desk.issue(act.number)
        if issue is None or not issue.open:
            raise NotStartedError("The issue is not open, so no job is started. Reopen it first.")
        settings, origin = self.parts.settings, {"by": f"{act.login} on GitHub", "delivery": str(act.delivery)}
        order = Order(act.number, settings.agent, settings.job_time_limit, asks_approval, origin)
        try:
            text = text_of(issue.title, issue.body, settings.issue_max_bytes)
            base = await act.place.host.find_base(act.place.repository.base_branch)
            if story.job is None:
                await act.place.desk.say(act.number, steering_words.BEGINS)
            intake = Intake(self.parts.database, act.place.tenant, self.parts.dispatch)
            return (await intake.begin(act.place.repository.source, base, text, order)).job
        except (InvalidInputError, StoppedError) as error:
            raise NotStartedError(f"No job could be started. {error.message}") from error
        except ConflictError as error:
            if error.code not in _NOT_STARTED:
                raise
            raise NotStartedError(f"No job could be started. {error.message}") from error

    async def answer(self, act: Act, job: JobView | None, words: str) -> None:
        """Has the living comment say this, and how the job is."""
        said = steering_words.note(act.what, act.login, act.at.astimezone(UTC), words)
        if job is None:
            await act.place.desk.say(act.number, f"{steering_words.NO_JOB}\n\n{said}")
            return
        async with self.parts.database.write(act.place.tenant) as session:
            await jobs.set_note(session, act.place.tenant, job.id, said)
        await self.control(act).tell(job)


def text_of(title: str, body: str, max_bytes: int) -> IssueText:
    """An issue of GitHub's as a job takes it in; raises InvalidInputError where it cannot."""
    return IssueText.parse(f"{title}\n\n{body}".encode("utf-8", "replace"), max_bytes=max_bytes, name="The issue")
