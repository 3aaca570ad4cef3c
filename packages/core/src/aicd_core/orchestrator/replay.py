"""Runs a job again against its journal, in a work tree of its own, and compares every result. Stores nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from aicd_core.contracts import Checkout, CodedChange, CodeHost, Left, Plan, Review
from aicd_core.contracts.values import Value
from aicd_core.errors import NotFoundError, StepFailedError
from aicd_core.ids import JobId, new_uuid
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.artifacts import repository as artifacts
from aicd_core.jobs.leases.values import Terms
from aicd_core.jobs.machine import JobState, JobStatus
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator.comparison import Compared, compare_values, missing
from aicd_core.orchestrator.journal import StepJournal
from aicd_core.orchestrator.ports import Parts
from aicd_core.orchestrator.progress import Message
from aicd_core.orchestrator.replay_records import NotInJournalError, ReplayRecords
from aicd_core.orchestrator.session import StepSession, cache_of
from aicd_core.orchestrator.steps import coding, planning, reviewing
from aicd_core.orchestrator.steps.context import StepContext, step_name
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.organizations.models import PlanApproval
from aicd_core.tenancy.repositories import repository as repositories

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
            NotFoundError: there is no such job (`no_such_job`), or it has no result yet (`nothing_to_replay`).
            InvalidInputError: the job's agent is not installed.
            UnavailableError: something outside of the job is wrong: database, disk, the repository.
            StepFailedError: code `base_gone`: the repository no longer has the base commit.
        """
        job, source = await self._job(job_id)
        self._parts.agents(job.agent)
        stored = await self._stored(job)
        if not stored:
            raise NotFoundError(
                f"Job {job_id} has no plan yet, so there is nothing to compare. Replay it when it has come further.",
                code="nothing_to_replay",
            )
        host, scratch = self._parts.hosts.at(source, self._tenant), JobId(new_uuid())
        compared: list[Compared] = []
        calls = 0
        try:
            checkout = await host.open(scratch, job.base_sha)
            for result in stored:
                records = ReplayRecords(self._parts.database, self._tenant, job.id)
                step = self._step(replace(job, status=result.status), source, host, checkout, records)
                try:
                    compared += await self._again(step, result, records)
                finally:
                    await checkout.close_sandbox()
                calls += records.answered
        finally:
            await asyncio.shield(host.close(scratch))
        return Replayed(job_id, tuple(compared), calls)

    async def _job(self, job_id: JobId) -> tuple[JobView, str]:
        """The job and the source of its repository."""
        async with self._parts.database.read(self._tenant) as session:
            job = await jobs.get_job(session, self._tenant, job_id)
            if job is None:
                raise NotFoundError(f"There is no job {job_id}. `aicd jobs` lists them.", code="no_such_job")
            source = await repositories.get_source(session, self._tenant, job.repository_id)
        assert source is not None, "the database keeps a job's repository"
        return job, source

    async def _stored(self, job: JobView) -> list[_Stored]:
        """The job's results in the order in which it made them."""
        planned = job.status.plan_attempts
        found: list[_Stored] = []
        async with self._parts.database.read(self._tenant) as session:
            for kind, state in MADE_IN.items():
                for number, content in await artifacts.list_artifacts(session, self._tenant, job.id, kind):
                    planning_it = state is JobState.PLANNING
                    status = JobStatus(state, 0, number) if planning_it else JobStatus(state, number, planned)
                    found.append(_Stored(status, content))
        return sorted(found, key=lambda result: result.status.round)

    def _step(
        self, job: JobView, source: str, host: CodeHost, checkout: Checkout, records: ReplayRecords
    ) -> StepContext:
        settings = self._parts.settings
        journal = StepJournal(records, step_name(job.status), settings.model_call_timeout)
        return StepContext(
            job=job,
            source=source,
            terms=UNASKED,
            agent=self._parts.agents(job.agent),
            host=host,
            checkout=checkout,
            records=records,
            session=StepSession(
                lambda text: self._parts.observe(Message(job.id, text)),
                journal,
                cache_of(job, settings),
                lambda: Left(seconds=settings.step_timeout),
            ),
            settings=settings,
            observe=self._parts.observe,
            confirm=_nothing_changes,
        )

    async def _again(self, step: StepContext, stored: _Stored, records: ReplayRecords) -> list[Compared]:
        """One result made again and compared, after the calls for which the journal has no reply."""
        name, limit = step_name(stored.status), self._parts.settings.step_timeout
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
        return [*records.not_found, *compare_values(name, stored.content, made)]


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
