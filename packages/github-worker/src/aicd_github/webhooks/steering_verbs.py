"""What each command does to a job in each state: a table, and the deeds that it names."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from aicd_core.contracts import Plan
from aicd_core.errors import ConflictError, StoppedError
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.artifacts import repository as artifacts
from aicd_core.jobs.machine import OPEN, JobEvent, JobState
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator import JOURNAL_GONE, LIMIT_CODES
from aicd_core.usage.budgets.values import Scope
from aicd_github.webhooks import steering_words
from aicd_github.webhooks.commands import Command, Verb
from aicd_github.webhooks.steering_jobs import Act, NotStartedError, Steering, Story

BEFORE_PLAN = (JobState.QUEUED, JobState.PLANNING)
BEGIN = frozenset({Verb.PLAN, Verb.GO, Verb.RETRY})
"""What may begin a job."""
_ENDED = (JobState.FAILED, JobState.CANCELLED, JobState.CLOSED)


@dataclass(frozen=True)
class Done:
    """What came of a command: whether it was obeyed, what is said, and the job that it is about then."""

    obeyed: bool
    words: str
    job: JobView | None


Deed = Callable[["Verbs", Act, Command, Story], Awaitable[Done]]


@dataclass(frozen=True)
class Verbs:
    """Obeys commands."""

    steering: Steering

    async def obey(self, act: Act, command: Command) -> Done:
        """Does what the command asks for, as the job is now; a second time for the same delivery it changes nothing.

        Raises:
            ConflictError: the job moved on at this very moment.
            AicdError: GitHub or Postgres is away.
        """
        story = await self.steering.story(act)
        if command.verb is Verb.HELP:
            problem = f"{command.problem} " if command.problem else ""
            return Done(
                command.problem is None, f"{problem}{steering_words.now(story.job)}\n{steering_words.HELP}", story.job
            )
        if story.did(act, _LEAVES[command.verb]):
            return Done(obeyed=True, words="Done.", job=story.job)
        if story.is_newer_than(act):
            return Done(obeyed=False, words="It was said before this job began, so it is not about it.", job=story.job)
        deed = DEEDS.get((command.verb, None if story.job is None else story.job.state))
        if deed is None:
            return Done(obeyed=False, words=f"That changes nothing. {steering_words.now(story.job)}", job=story.job)
        try:
            return await deed(self, act, command, story)
        except StoppedError as error:
            return Done(obeyed=False, words=error.message, job=story.job)

    async def begin(self, act: Act, command: Command, story: Story) -> Done:
        before = story.job
        again = command.verb is Verb.RETRY and before is not None and before.asks_approval
        try:
            job = await self.steering.begin(act, story, asks_approval=command.verb is Verb.PLAN or again)
        except NotStartedError as error:
            return Done(obeyed=False, words=f"{error}", job=before)
        return Done(obeyed=True, words="A job has begun.", job=job)

    async def go_on(self, act: Act, command: Command, story: Story) -> Done:
        """A job that was stopped goes on where it was; any other that was cancelled begins anew."""
        if _job(story).status.is_stopped:
            try:
                return await self.resume(act, command, story)
            except ConflictError as error:
                if error.code != JOURNAL_GONE:
                    raise
        return await self.begin(act, command, story)

    async def ask_approval(self, act: Act, command: Command, story: Story) -> Done:
        del command
        job = _job(story)
        async with self.steering.parts.database.write(act.place.tenant) as session:
            asked = await jobs.ask_approval(session, act.place.tenant, job.id, [state.value for state in BEFORE_PLAN])
        if not asked:
            raise ConflictError(f"Job {job.id} moved on at this very moment.")
        return Done(obeyed=True, words="The job's plan will wait for approval.", job=job)

    async def approve(self, act: Act, command: Command, story: Story) -> Done:
        del command
        job = _job(story)
        async with self.steering.parts.database.read(act.place.tenant) as session:
            content = await artifacts.get_artifact(session, act.place.tenant, job.id, ArtifactKind.PLAN)
        plan = Plan.model_validate_json(content or b"").structure_hash()
        shown = max(each.created_at for each in story.events if each.event is JobEvent.APPROVAL_ASKED)
        if act.at < shown:
            words = f"It was said before the plan `{plan[:12]}` was shown. Look at that one, and say it once more."
            return Done(obeyed=False, words=words, job=job)
        approved = await self.steering.control(act).approve(job.id, plan)
        return Done(obeyed=True, words=f"The plan `{plan[:12]}` is approved.", job=approved)

    async def stop(self, act: Act, command: Command, story: Story) -> Done:
        del command
        reason = f"{act.login} stopped it on GitHub."
        ended = await self.steering.control(act).cancel(_job(story).id, reason, open_pull_request=True)
        words = "The job is cancelled; a pull request that is open stays as it is. `/aicd retry` starts anew."
        return Done(obeyed=ended.state is JobState.CANCELLED, words=words, job=ended)

    async def resume(self, act: Act, command: Command, story: Story) -> Done:
        del command
        job = _job(story)
        more = job.seconds_worked + self.steering.parts.settings.job_time_limit if job.code == "time_limit" else None
        resumed = await self.steering.control(act).resume(job.id, time_limit=more)
        words = "The job goes on. Where its limit is still reached, it pauses again."
        return Done(obeyed=True, words=words, job=resumed)

    async def raise_budget(self, act: Act, command: Command, story: Story) -> Done:
        job, most = _job(story), command.budget
        assert most is not None, "of this command there is always an amount"
        if job.cost_limit is None:
            return Done(obeyed=False, words="The job has no limit of its own, so there is nothing to raise.", job=job)
        if most < job.cost_limit:
            words = f"The job may cost {steering_words.usd(job.cost_limit)} already; a limit is only raised."
            return Done(obeyed=False, words=words, job=job)
        words = f"The job may cost {steering_words.usd(most)}."
        if job.state is JobState.PAUSED and job.code == LIMIT_CODES[Scope.JOB]:
            resumed = await self.steering.control(act).resume(job.id, cost_limit=most)
            return Done(obeyed=True, words=f"{words} It goes on.", job=resumed)
        async with self.steering.parts.database.write(act.place.tenant) as session:
            await jobs.raise_limits(session, act.place.tenant, job.id, None, most)
        still = " It stays paused: that has another reason." if job.state is JobState.PAUSED else ""
        return Done(obeyed=True, words=f"{words}{still}", job=job)


def _job(story: Story) -> JobView:
    assert story.job is not None, "the table has this only for states of a job"
    return story.job


_LEAVES: Mapping[Verb, JobEvent | None] = MappingProxyType(
    {
        Verb.PLAN: None,
        Verb.GO: JobEvent.APPROVED,
        Verb.STOP: JobEvent.CANCELLED,
        Verb.RETRY: JobEvent.RESUMED,
        Verb.BUDGET: JobEvent.RESUMED,
    }
)
"""What a command leaves on the job's record, by which it is found again."""

DEEDS: Mapping[tuple[Verb, JobState | None], Deed] = MappingProxyType(
    {
        **{(Verb.PLAN, state): Verbs.begin for state in (None, *_ENDED, JobState.MERGED)},
        **{(Verb.PLAN, state): Verbs.ask_approval for state in BEFORE_PLAN},
        **{(Verb.GO, state): Verbs.begin for state in (None, *_ENDED, JobState.MERGED)},
        (Verb.GO, JobState.AWAITING_APPROVAL): Verbs.approve,
        **{(Verb.STOP, state): Verbs.stop for state in OPEN},
        **{(Verb.RETRY, state): Verbs.begin for state in _ENDED},
        (Verb.RETRY, JobState.CANCELLED): Verbs.go_on,
        (Verb.RETRY, JobState.PAUSED): Verbs.resume,
        **{(Verb.BUDGET, state): Verbs.raise_budget for state in OPEN},
    }
)
"""By command and state, None where the issue never had a job. What is not here changes nothing, which is said."""
