"""The loop: one job, one lease, step after step until it waits or ends (design §4)."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from aicd_core.contracts import Agent, Checkout, CodeHost, Left, OutsideFeedback, Usage
from aicd_core.errors import (
    AicdError,
    InvalidInputError,
    LimitReachedError,
    NotFoundError,
    StepFailedError,
    UnavailableError,
)
from aicd_core.jobs.machine import AT_WORK, TERMINAL, JobEvent, JobState
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator.budget import Allowance, over_budget
from aicd_core.orchestrator.clearing import clear_away
from aicd_core.orchestrator.figures import timed_step
from aicd_core.orchestrator.finishing import to_the_end
from aicd_core.orchestrator.journal import StepJournal
from aicd_core.orchestrator.lease import Held, LeaseKeeper
from aicd_core.orchestrator.moves import GIVES_BACK, Mover
from aicd_core.orchestrator.outside.answering import give_up
from aicd_core.orchestrator.outside.taking import take_up
from aicd_core.orchestrator.ports import Parts
from aicd_core.orchestrator.progress import Message
from aicd_core.orchestrator.records import LeaseLostError, Records
from aicd_core.orchestrator.retries import BACKOFFS, kind_of
from aicd_core.orchestrator.session import StepSession, cache_of
from aicd_core.orchestrator.steps import coding, planning, reviewing
from aicd_core.orchestrator.steps.context import StepContext, StepResult, failed, step_name
from aicd_core.orchestrator.telling import tell
from aicd_core.orchestrator.work_tree import HeldTree
from aicd_core.telemetry.tracing import JOB, ORG, span
from aicd_core.tenancy.repositories import repository as repositories

Step = Callable[[StepContext], Awaitable[StepResult]]

STEPS: Mapping[JobState, Step] = MappingProxyType(
    {JobState.PLANNING: planning.run, JobState.CODING: coding.run, JobState.REVIEWING: reviewing.run}
)
BOOKING_SECONDS = 5.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Engine:
    """Works on jobs whose lease this process holds.

    Args:
        retries: what fails for a reason outside of the job is tried again later, by whichever worker; else raised.
        draining: says that the process is to end: a job is handed over before its next step.
    """

    parts: Parts
    keeper: LeaseKeeper
    mover: Mover
    retries: bool = False
    draining: Callable[[], bool] = bool
    steps: Mapping[JobState, Step] = field(default_factory=lambda: STEPS)

    async def work(self, held: Held) -> None:
        """Goes on from step to step under one lease, with one work tree, in the trace that the job belongs to.

        Raises:
            LeaseLostError: somebody else has the job, or it was ended.
            AicdError: without retries: something outside of the job is wrong (database, disk); the job can be resumed.
        """
        about = {JOB: str(held.job_id), ORG: str(held.tenant.org_id)}
        with span("work", about, parent=held.taken.job.traceparent):
            await self._work(held)

    async def _work(self, held: Held) -> None:
        host = self.parts.hosts.at(held.taken.source, held.tenant)
        try:
            async with HeldTree(host, self.parts.observe) as tree:
                job = await self._drive(held, host, tree)
                if job.state in TERMINAL:  # also of a step that was cut off between push and record
                    await clear_away(host, job.id, self.parts.observe)
                elif job.state not in AT_WORK:
                    await tree.remove(job)
        except asyncio.CancelledError:
            if held.lost:
                await to_the_end(self._clear_away_if_ended(held, host))
            raise
        except LeaseLostError:  # found out by a write, before the heartbeat did
            await to_the_end(self._clear_away_if_ended(held, host))
            raise

    async def _drive(self, held: Held, host: CodeHost, tree: HeldTree) -> JobView:
        """Step after step, in one work tree."""
        job = held.taken.job
        records = Records(self.parts.database, held.tenant, job.id, held.owner, patience=self.mover.patience)
        records.cost_booked = held.taken.terms.has_budget
        await self._tell(host, job)
        while job.state in AT_WORK:
            if self.draining():
                return await self.hand_over(held, job)
            delay = None
            try:
                result = await over_budget(records, job.id)
                if result is None:
                    outside = await take_up(records, host, job)
                    result = await self._step(held, job, host, await tree.open(job, outside), records, outside)
            except LimitReachedError as error:
                result = StepResult(JobEvent.LIMIT_REACHED, error.code, error.message)
            except LeaseLostError:
                raise
            except Exception as error:  # noqa: BLE001 # it is decided there, and raised where nobody tries again
                result, delay = await self._after_error(held, job, error)
            if result.event is JobEvent.FAILED and job.status.is_published:
                result, delay = await self._give_up(host, job, records, result)
            if result.reason:
                result = replace(result, reason=self.parts.redact(result.reason))
            job = await self.mover.move(held, job, result, delay=delay)
            await self._tell(host, job)
            if result.event in GIVES_BACK:
                return job
        return job

    async def _tell(self, host: CodeHost, job: JobView) -> None:
        await tell(self.parts.database, host, job, self.parts.observe)

    async def hand_over(self, held: Held, job: JobView) -> JobView:
        """Gives the job, as it is, to whichever worker comes next."""
        result = StepResult(JobEvent.HANDED_OVER, "handed_over", "The worker stopped; another one goes on.")
        return await self.mover.move(held, job, result)

    async def _after_error(self, held: Held, job: JobView, error: Exception) -> tuple[StepResult, float | None]:
        """What becomes of a job whose step raised, and after how many seconds; raises that error without retries."""
        if self.retries and await self._renamed(held):
            words = "The repository was renamed; the job goes on under its new name."
            return StepResult(JobEvent.HANDED_OVER, "renamed", words), None
        if isinstance(error, StepFailedError):
            return failed(error), None
        if not self.retries:
            raise error
        return self._try_again(job, error)

    async def _give_up(
        self, host: CodeHost, job: JobView, records: Records, result: StepResult
    ) -> tuple[StepResult, float | None]:
        """A failure as it is for a job whose pull request is open: that stays, its threads are told of a person."""
        reason = result.reason or "The round failed."
        try:
            outside = await records.load(ArtifactKind.FEEDBACK, OutsideFeedback, job.status.first_round)
            if outside is not None:
                await give_up(host, job.id, outside, reason)
        except Exception as error:
            if not self.retries:
                raise
            again, delay = self._try_again(job, error)
            if again.event is not JobEvent.FAILED:
                return again, delay
        words = f"Feedback on the pull request could not be worked in: {reason} A person has to go on."
        return StepResult(JobEvent.GIVEN_UP, result.code, words, result.detail), None

    async def _renamed(self, held: Held) -> bool:
        """Whether the repository is known under another name by now: whoever comes next works under that one."""
        with suppress(UnavailableError):
            async with self.parts.database.read(held.tenant) as session:
                source = await repositories.get_source(session, held.tenant, held.taken.job.repository_id)
            return source not in (None, held.taken.source)
        return False

    def _try_again(self, job: JobView, error: Exception) -> tuple[StepResult, float | None]:
        """What becomes of a job whose step failed for a reason outside of it, and after how many seconds."""
        code, text = getattr(error, "code", "internal"), f"{error}" or type(error).__name__
        backoff = BACKOFFS.get(kind_of(error))
        failures = job.status.failures + 1
        trace = None if isinstance(error, AicdError) else error  # one of ours says all that there is to know
        _log.warning("job %s, %s: attempt %d failed: %s", job.id, job.state.value, failures, text, exc_info=trace)
        if backoff is None or failures > backoff.attempts:
            reason = text if backoff is None else f"{text} (given up after {failures} attempts)"
            return StepResult(JobEvent.FAILED, code, reason), None
        delay = backoff.delay(failures)
        return StepResult(JobEvent.RETRY_SCHEDULED, code, f"{text} Trying again in {delay:.0f} s."), delay

    async def _clear_away_if_ended(self, held: Held, host: CodeHost) -> None:
        """After a cancellation from elsewhere: what that could not see, this process's tree and a push under way."""
        try:
            job = await self.mover.read(held.tenant, held.job_id)
        except NotFoundError:  # it was erased, with its organization
            ended = True
        else:
            ended = job.state in TERMINAL
            if ended:  # in case this process told of its work after whoever ended it told of that
                await self._tell(host, job)
        if ended:
            await clear_away(host, held.job_id, self.parts.observe)

    async def _step(
        self,
        held: Held,
        job: JobView,
        host: CodeHost,
        checkout: Checkout,
        records: Records,
        outside: OutsideFeedback | None,
    ) -> StepResult:
        """Runs one step within its deadline; what was spent is booked however it ends."""
        settings = self.parts.settings
        left = job.time_limit - job.seconds_worked
        session = self._session(job, records, min(left, settings.step_timeout))
        step = StepContext(
            job=job,
            source=held.taken.source,
            terms=held.taken.terms,
            agent=self._agent(job.agent),
            host=host,
            checkout=checkout,
            records=records,
            session=session,
            settings=settings,
            observe=self.parts.observe,
            confirm=lambda: self.keeper.confirm(held),
            outside=outside,
        )
        try:
            async with asyncio.timeout(min(left, settings.step_timeout)) as deadline:
                return await timed_step(job, self.steps[job.state](step))
        except TimeoutError:
            if not deadline.expired():
                raise
            return self._out_of_time(job, left)
        finally:
            await to_the_end(_leave(checkout, session, records))

    def _session(self, job: JobView, records: Records, seconds: float) -> StepSession:
        """What the agent is lent for a step that has so many seconds."""
        allowance = Allowance(records, job.id)
        ends = time.monotonic() + seconds
        timeout = self.parts.settings.model_call_timeout
        return StepSession(
            lambda text: self.parts.observe(Message(job.id, text)),
            StepJournal(records, step_name(job.status), timeout, allowance.reserve),
            cache_of(job, self.parts.settings),
            lambda: Left(seconds=max(0.0, ends - time.monotonic()), micro_usd=allowance.left),
        )

    def _agent(self, name: str) -> Agent:
        """The job's agent; one that is no longer installed fails the job."""
        try:
            return self.parts.agents(name)
        except InvalidInputError as error:
            raise StepFailedError(error.message, code=error.code) from error

    def _out_of_time(self, job: JobView, left: float) -> StepResult:
        if left <= self.parts.settings.step_timeout:
            reason = f"The time limit of {job.time_limit:g} s is used up. Raise it: aicd resume {job.id} --time-limit S"
            return StepResult(JobEvent.LIMIT_REACHED, "time_limit", reason)
        reason = f"The step took longer than {self.parts.settings.step_timeout:g} s (AICD_STEP_TIMEOUT)."
        return StepResult(JobEvent.FAILED, "step_timeout", reason)


async def _leave(checkout: Checkout, session: StepSession, records: Records) -> None:
    """The end of a step: nothing of it runs any more, and what it spent is booked, whatever else goes wrong."""
    try:
        await checkout.close_sandbox()
    finally:
        spent = session.drain()
        if spent != Usage():
            # A worker that is to stop does not wait for a Postgres that is away.
            async with asyncio.timeout(BOOKING_SECONDS if session.cancelled else None):
                await records.book(spent)
