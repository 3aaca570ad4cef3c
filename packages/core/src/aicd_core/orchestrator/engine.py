"""The loop: one job, one lease, step after step until it waits or ends (design §4)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType

from aicd_core.contracts import Agent, Checkout, CodeHost, Usage, Wake
from aicd_core.errors import ConflictError, InvalidInputError, StepFailedError
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.machine import AT_WORK, TERMINAL, JobEvent, JobState, decide
from aicd_core.jobs.values import JobView, Transition
from aicd_core.orchestrator.intake import Intake
from aicd_core.orchestrator.journal import StepJournal
from aicd_core.orchestrator.lease import Lease
from aicd_core.orchestrator.ports import Parts
from aicd_core.orchestrator.progress import Message, StateChanged
from aicd_core.orchestrator.records import LeaseLostError, Records
from aicd_core.orchestrator.session import StepSession
from aicd_core.orchestrator.steps import coding, planning, reviewing
from aicd_core.orchestrator.steps.context import StepContext, StepResult, failed, step_name
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.repositories import repository as repositories

Step = Callable[[StepContext], Awaitable[StepResult]]

STEPS: Mapping[JobState, Step] = MappingProxyType(
    {JobState.PLANNING: planning.run, JobState.CODING: coding.run, JobState.REVIEWING: reviewing.run}
)
FOLLOW_SECONDS = 0.5


def wake_for(job: JobView) -> Wake:
    """The wake that belongs to a job as it is now."""
    return Wake(job_id=job.id, key=f"{job.id}-{job.state.value}-{job.version}")


class Orchestrator:
    """Works on the jobs of one tenant."""

    def __init__(self, parts: Parts, tenant: Tenant) -> None:
        self._parts = parts
        self._tenant = tenant
        self._intake = Intake(parts.database, tenant)

    async def handle(self, wake: Wake, *, when_stopped: str | None = None) -> None:
        """Works on the job until it waits for somebody or has ended.

        When another live worker holds it, follows that one, and takes over if it dies.

        Args:
            when_stopped: cancelling this call while it holds the job cancels the job, for this reason. None leaves the
                job to whoever resumes it; so does cancelling a call that only follows.

        Raises:
            AicdError: something outside of the job is wrong (database, disk); the job can be resumed.
        """
        job = await self._job(wake.job_id)
        lease = Lease(self._parts.database, self._tenant, job.id)
        try:
            job = await self._claim(lease, job)
            if job.state in AT_WORK:
                await self._work(lease, job, when_stopped)
        finally:
            await asyncio.shield(lease.release())

    async def _claim(self, lease: Lease, job: JobView) -> JobView:
        """Waits for the lease or for the end of the work; returns the job as it is then."""
        following = False
        while job.state in AT_WORK and not await lease.claim(job):
            if not following:
                self._say(job.id, f"another process works on this job ({job.lease_owner}); following it")
                following = True
            await asyncio.sleep(FOLLOW_SECONDS)
            job = await self._refresh(job)
        return job

    async def _work(self, lease: Lease, job: JobView, when_stopped: str | None) -> None:
        try:
            await lease.run(lambda: self._drive(job, lease.owner))
        except LeaseLostError:
            if (await self._job(job.id)).state not in TERMINAL:
                raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if when_stopped is None or task is None:
                raise
            task.uncancel()
            await self.cancel(job.id, when_stopped)

    async def cancel(self, job_id: JobId, reason: str) -> None:
        """Ends a job in any open state but that of an open pull request; leaves neither branch nor work tree behind."""
        while (job := await self._job(job_id)).state not in TERMINAL | {JobState.PR_OPEN}:
            if await self._move(job, StepResult(JobEvent.CANCELLED, "cancelled", reason)):
                await self._clear_away(job)
                return

    async def tidy(self, leftovers: Iterable[JobId]) -> None:
        """Clears away what ended jobs left on this machine because their process was killed while it cleaned up."""
        for job_id in leftovers:
            async with self._parts.database.read(self._tenant) as session:
                job = await jobs.get_job(session, self._tenant, job_id)
            if job is not None and job.state in TERMINAL:
                await self._clear_away(job)

    async def _clear_away(self, job: JobView) -> None:
        host = await self._host(job)
        await host.withdraw(job.id)
        await host.close(job.id)

    async def approve(self, job_id: JobId) -> None:
        """Lets a job go on whose plan waits for a person."""
        await self._expect(job_id, StepResult(JobEvent.APPROVED))

    async def resume(self, job_id: JobId) -> None:
        """Takes a paused job back to the state that it left."""
        await self._expect(job_id, StepResult(JobEvent.RESUMED))

    async def _expect(self, job_id: JobId, result: StepResult) -> None:
        job = await self._job(job_id)
        if not await self._move(job, result):
            raise ConflictError(f"Job {job_id} moved on at this very moment. Look at it again: aicd show {job_id}")

    async def _drive(self, job: JobView, owner: str) -> None:
        """Goes on from step to step under one lease, with one work tree."""
        host = await self._host(job)
        records = Records(self._parts.database, self._tenant, job.id, owner)
        checkout: Checkout | None = None
        while (job := await self._job(job.id)).state in AT_WORK:
            if job.state is JobState.QUEUED:
                result = StepResult(JobEvent.ADMITTED)
            else:
                try:
                    checkout = checkout or await host.open(job.id, job.base_sha)
                    result = await self._step(job, host, checkout, records)
                except StepFailedError as error:
                    result = failed(error)
            if not await self._move(job, result):
                raise LeaseLostError(f"Job {job.id} was moved by somebody else, or has ended.")
        await host.close(job.id)

    async def _step(self, job: JobView, host: CodeHost, checkout: Checkout, records: Records) -> StepResult:
        """Runs one step within its deadline; what was spent is booked however it ends."""
        settings = self._parts.settings
        left = job.time_limit - job.seconds_worked
        journal = StepJournal(records, step_name(job.status), settings.model_call_timeout)
        session = StepSession(lambda text: self._say(job.id, text), journal)
        step = StepContext(
            job=job,
            agent=self._agent(job.agent),
            host=host,
            checkout=checkout,
            records=records,
            session=session,
            settings=settings,
            observe=self._parts.observe,
        )
        try:
            async with asyncio.timeout(min(left, settings.step_timeout)) as deadline:
                return await STEPS[job.state](step)
        except TimeoutError:
            if not deadline.expired():
                raise
            return self._out_of_time(job, left)
        finally:
            spent = session.drain()
            if spent != Usage():
                await asyncio.shield(records.book(spent))

    def _agent(self, name: str) -> Agent:
        """The job's agent; one that is no longer installed fails the job."""
        try:
            return self._parts.agents(name)
        except InvalidInputError as error:
            raise StepFailedError(error.message, code=error.code) from error

    def _out_of_time(self, job: JobView, left: float) -> StepResult:
        if left <= self._parts.settings.step_timeout:
            reason = f"The time limit of {job.time_limit:g} s is used up. Run it again with a larger --time-limit."
            return StepResult(JobEvent.LIMIT_REACHED, "time_limit", reason)
        reason = f"The step took longer than {self._parts.settings.step_timeout:g} s (AICD_STEP_TIMEOUT)."
        return StepResult(JobEvent.FAILED, "step_timeout", reason)

    async def _move(self, job: JobView, result: StepResult) -> bool:
        """Applies what happened, guarded by the version that was read, and tells the watcher."""
        status = decide(job.status, result.event)
        change = Transition(job, result.event, status, result.code, result.reason)
        async with self._parts.database.write(self._tenant) as session:
            moved = await jobs.apply_transition(session, self._tenant, change)
        if moved:
            self._parts.observe(StateChanged(job.id, status.state, status.round, result.reason))
        return moved

    async def _refresh(self, job: JobView) -> JobView:
        """Reads a followed job again and shows what the other process did to it."""
        now = await self._job(job.id)
        if now.version != job.version:
            self._parts.observe(StateChanged(now.id, now.state, now.status.round, now.reason))
        return now

    async def _host(self, job: JobView) -> CodeHost:
        async with self._parts.database.read(self._tenant) as session:
            source = await repositories.get_source(session, self._tenant, job.repository_id)
        assert source is not None, "the database keeps a job's repository"
        return self._parts.hosts.at(source)

    async def _job(self, job_id: JobId) -> JobView:
        return await self._intake.get(job_id)

    def _say(self, job_id: JobId, text: str) -> None:
        self._parts.observe(Message(job_id, text))
