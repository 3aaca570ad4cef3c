"""Runs a job again against its journal, in a work tree of its own, and compares every result. Stores nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from aicd_core.contracts import Agent, Base, Checkout, CodedChange, CodeHost, Left, OutsideFeedback, Plan, Review
from aicd_core.contracts.values import Value
from aicd_core.errors import NotFoundError, StepFailedError
from aicd_core.ids import JobId, new_uuid
from aicd_core.jobs.leases.values import Terms
from aicd_core.jobs.machine import JobState, JobStatus
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator.comparison import Compared, compare_values, missing
from aicd_core.orchestrator.journal import StepJournal
from aicd_core.orchestrator.ports import CodeHosts, Parts
from aicd_core.orchestrator.progress import Message, Observer
from aicd_core.orchestrator.recording import Recording, StoredRecording
from aicd_core.orchestrator.replay_records import NotInJournalError, ReplayRecords
from aicd_core.orchestrator.session import StepSession, cache_of
from aicd_core.orchestrator.steps import coding, planning, reviewing
from aicd_core.orchestrator.steps.context import StepContext, step_name
from aicd_core.settings import Settings
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.models import PlanApproval

UNASKED = Terms(PlanApproval.NEVER)
"""No transition follows from what a replay makes, so nobody is asked and nothing is spent."""


async def _nothing_changes() -> None:
    """A replay holds no lease, and changes nothing outside."""


@dataclass(frozen=True)
class Replayed:
    """What a replay found, in the order in which the job made it; `calls` counts those answered from the journal."""

    job_id: JobId
    compared: tuple[Compared, ...]
    calls: int

    @property
    def identical(self) -> bool:
        return all(result.identical for result in self.compared)


@dataclass(frozen=True)
class _Stored:
    """A stored result, and the job's status in the step that made it."""

    status: JobStatus
    content: bytes


class Replay:
    """Replays jobs of one tenant. The database is only read, and the code host gives only the base commit."""

    def __init__(self, parts: Parts, tenant: Tenant) -> None:
        self._parts = parts
        self._tenant = tenant

    async def run(self, job_id: JobId) -> Replayed:
        """Makes each plan, change and review of the job again, from what is stored before it, and compares.

        Raises:
            NotFoundError: there is no such job (`no_such_job`), it has no result yet (`nothing_to_replay`), or its
                journal is not kept any more (`journal_gone`).
            InvalidInputError: the job's agent is not installed.
            UnavailableError: something outside of the job is wrong: database, disk, the repository.
            StepFailedError: code `base_gone`: the repository no longer has the base commit.
        """
        recording = await StoredRecording.open(self._parts.database, self._tenant, job_id)
        parts = self._parts
        player = Player(parts.hosts, parts.agents, parts.settings, parts.observe)
        return await player.play(recording, recording.source, self._tenant)


@dataclass(frozen=True)
class Player:
    """Plays recordings, wherever they are kept.

    Args:
        agents: finds an agent by name, or raises InvalidInputError.
    """

    hosts: CodeHosts
    agents: Callable[[str], Agent]
    settings: Settings
    observe: Observer

    async def play(self, recording: Recording, source: str, tenant: Tenant | None = None) -> Replayed:
        """Makes each result again in a checkout of the repository at `source`; raises as `Replay.run`.

        Args:
            tenant: whose caches commands may read; None gives them none.
        """
        job = recording.job
        self.agents(job.agent)
        stored = await _results(recording)
        if not stored:
            raise NotFoundError(
                f"Job {job.id} has no plan yet, so there is nothing to compare. Replay it when it has come further.",
                code="nothing_to_replay",
            )
        host, scratch = self.hosts.at(source, tenant), JobId(new_uuid())
        compared: list[Compared] = []
        calls = 0
        try:
            for result in stored:
                records = ReplayRecords(recording)
                again = replace(job, status=result.status)
                outside = await _outside(records, again)
                start, head = job.base_sha, None
                if outside is not None and outside.start_sha != job.base_sha:
                    start, head = outside.start_sha, Base(branch=job.branch, sha=outside.head_sha)
                checkout = await host.open(scratch, start, head)
                step = self._step(again, source, host, checkout, records, outside)
                try:
                    compared += await self._again(step, result, records, recording)
                finally:
                    await checkout.close_sandbox()
                calls += records.answered
        finally:
            await asyncio.shield(host.close(scratch))
        return Replayed(job.id, tuple(compared), calls)

    def _step(
        self,
        job: JobView,
        source: str,
        host: CodeHost,
        checkout: Checkout,
        records: ReplayRecords,
        outside: OutsideFeedback | None,
    ) -> StepContext:
        settings = self.settings
        journal = StepJournal(records, step_name(job.status), settings.model_call_timeout)
        return StepContext(
            job=job,
            source=source,
            terms=UNASKED,
            agent=self.agents(job.agent),
            host=host,
            checkout=checkout,
            records=records,
            session=StepSession(
                lambda text: self.observe(Message(job.id, text)),
                journal,
                cache_of(job, settings),
                lambda: Left(seconds=settings.step_timeout),
            ),
            settings=settings,
            observe=self.observe,
            confirm=_nothing_changes,
            outside=outside,
        )

    async def _again(
        self, step: StepContext, stored: _Stored, records: ReplayRecords, recording: Recording
    ) -> list[Compared]:
        """One result made again and compared, after the calls for which the journal has no reply."""
        name, limit = step_name(stored.status), self.settings.step_timeout
        try:
            async with asyncio.timeout(limit) as deadline:
                made = await MAKE[stored.status.state](step)
        except NotInJournalError:
            return records.not_found
        except StepFailedError as error:
            return [*records.not_found, missing(name, stored.content, None, f"made again, it failed: {error.message}")]
        except TimeoutError:
            if not deadline.expired():
                raise
            return [missing(name, stored.content, None, f"made again, it took longer than {limit:g} s")]
        # An agent may have gone on without the reply that it could not get.
        return [*records.not_found, *compare_values(name, stored.content, recording.masked(made))]


async def _results(recording: Recording) -> list[_Stored]:
    """The job's results in the order in which it made them."""
    planned = recording.job.status.plan_attempts
    feedback = [first for first, _ in await recording.results(ArtifactKind.FEEDBACK)]
    found: list[_Stored] = []
    for kind, state in MADE_IN.items():
        for number, content in await recording.results(kind):
            planning_it = state is JobState.PLANNING
            status = JobStatus(state, 0, number) if planning_it else JobStatus(state, number, planned)
            if not planning_it:
                begun = [first for first in feedback if first <= number]
                status = replace(status, feedback_rounds=len(begun), first_round=max(begun, default=1))
            found.append(_Stored(status, content))
    return sorted(found, key=lambda result: result.status.round)


async def _outside(records: ReplayRecords, job: JobView) -> OutsideFeedback | None:
    """The feedback that a round of the job was about."""
    status = job.status
    if not status.feedback_rounds:
        return None
    return await records.load(ArtifactKind.FEEDBACK, OutsideFeedback, status.first_round)


async def _plan(step: StepContext) -> Plan:
    paths, config = await step.checkout.paths_at_base(), await step.config()
    return await planning.ask(step, step.job.status.plan_attempts, paths, config)


async def _change(step: StepContext) -> CodedChange:
    return await coding.code(step, await step.plan(), step.job.status.round)


async def _review(step: StepContext) -> Review:
    evidence = await reviewing.gather(step, step.job.status.round)
    return await reviewing.ask(step, await step.plan(), evidence)


MADE_IN: Mapping[ArtifactKind, JobState] = MappingProxyType(
    {
        ArtifactKind.PLAN: JobState.PLANNING,
        ArtifactKind.CHANGE: JobState.CODING,
        ArtifactKind.REVIEW: JobState.REVIEWING,
    }
)
"""The results that are made again, and the state in which a job makes each."""
MAKE: Mapping[JobState, Callable[[StepContext], Awaitable[Value]]] = MappingProxyType(
    {JobState.PLANNING: _plan, JobState.CODING: _change, JobState.REVIEWING: _review}
)
