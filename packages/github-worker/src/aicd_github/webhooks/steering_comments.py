"""Commands in comments on issues, and in the conversation of a job's pull request."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from aicd_core.deliveries.values import HANDLED, Outcome, ignored
from aicd_core.jobs import repository as jobs
from aicd_core.tenancy.triggers import AuthorAssociation, TriggerActorKind, TriggerDecision
from aicd_github.webhooks.commands import Command
from aicd_github.webhooks.events import CommentEvent
from aicd_github.webhooks.places import Place, Places
from aicd_github.webhooks.routing import Arrival, Route
from aicd_github.webhooks.steering_gate import Gate
from aicd_github.webhooks.steering_jobs import Act, Steering
from aicd_github.webhooks.steering_verbs import BEGIN, Done, Verbs

NO_COMMAND = ignored("no_command", "The comment asks for nothing.")
NOT_OURS = ignored("not_our_pull_request", "The pull request is no job's.")


@dataclass(frozen=True)
class CommentHandlers:
    """Obeys comments, and answers in the issue's living comment; on the comment itself there is but a reaction."""

    places: Places
    gate: Gate
    steering: Steering

    def routes(self) -> tuple[Route[CommentEvent], ...]:
        """For the router."""
        return (Route(CommentEvent, ("created", "edited"), self.obey),)

    async def obey(self, arrival: Arrival, event: CommentEvent) -> Outcome:
        """Does what the comment's commands ask for, one after the other, as far as its author may."""
        if not event.commands:
            return NO_COMMAND
        place = await self.places.of(arrival, event)
        if isinstance(place, Outcome):
            return place
        decision = await self._decide(place, event)
        if not decision.allowed:
            return await self._refuse(place, event, decision)
        number = await self._issue(place, event)
        if number is None:
            return NOT_OURS
        done = await self._obey(arrival, event, place, number)
        obeyed = all(each.obeyed for each in done)
        await place.desk.react(event.comment.id, "+1" if obeyed else "confused")
        return (
            HANDLED if obeyed else ignored("not_obeyed", " ".join(each.words for each in done if not each.obeyed)[:500])
        )

    async def _decide(self, place: Place, event: CommentEvent) -> TriggerDecision:
        """Whether whoever wrote, or edited, the comment may steer."""
        theirs = event.sender and event.comment.user and event.sender.id == event.comment.user.id
        association = event.comment.author_association if theirs else AuthorAssociation.NONE
        return await self.gate.decide(place, event.sender, association)

    async def _refuse(self, place: Place, event: CommentEvent, decision: TriggerDecision) -> Outcome:
        """Strangers get a reaction, and no words: whatever is written for each of them could be asked for endlessly."""
        person = event.sender is not None and event.sender.kind is TriggerActorKind.PERSON
        if person and decision.code != "trigger_ourselves":
            await place.desk.react(event.comment.id, "confused")
        return ignored(decision.code or "trigger_refused", decision.reason or "")

    async def _issue(self, place: Place, event: CommentEvent) -> int | None:
        """The issue that is steered: the one commented on, or that of the job whose pull request it is."""
        if not event.issue.is_pull_request:
            return event.issue.number
        job_id = await place.desk.job_of_pull(event.issue.number)
        if job_id is None:
            return None
        async with self.steering.parts.database.read(place.tenant) as session:
            job = await jobs.get_job(session, place.tenant, job_id)
        ours = job is not None and job.repository_id == place.repository.id
        return job.issue_number if job is not None and ours else None

    async def _obey(self, arrival: Arrival, event: CommentEvent, place: Place, number: int) -> Sequence[Done]:
        login, at = event.sender.login if event.sender else "", event.occurred_at or datetime.now(UTC)
        done = []
        act = Act(place, number, login, at, "a comment", arrival.delivery.id)
        for command in await self._left(act, event.commands):
            named = replace(act, what=_named(command))
            done.append(await Verbs(self.steering).obey(named, command))
            await self.steering.answer(named, done[-1].job, done[-1].words)
        return done

    async def _left(self, act: Act, commands: Sequence[Command]) -> Sequence[Command]:
        """What is left to do: a handling before this one, which was cut off, may have begun a job already."""
        if not (await self.steering.story(act)).did(act, None):
            return commands
        first = next((place for place, command in enumerate(commands) if command.verb in BEGIN), -1)
        return commands[first + 1 :]


def _named(command: Command) -> str:
    amount = "" if command.budget is None else f" {command.budget / 1_000_000:g}"
    return "a command" if command.problem else f"`/aicd {command.verb.value}{amount}`"
