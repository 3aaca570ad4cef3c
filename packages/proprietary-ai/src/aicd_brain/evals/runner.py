"""One task: its repository, a job through the real orchestrator, the hidden tests."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aicd_brain.evals.judge import judge, missing_programs
from aicd_brain.evals.repositories import make_repository
from aicd_brain.evals.values import EvalTask, Outcome, TaskResult, TestRun
from aicd_cli.runtime import LocalHosts, Store
from aicd_core.contracts import Checkout
from aicd_core.errors import AicdError
from aicd_core.ids import JobId, new_uuid
from aicd_core.jobs.machine import JobState
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator import (
    Control,
    DirectOrder,
    Foreground,
    ForegroundQueue,
    Intake,
    IssueText,
    JobReport,
    Parts,
    read_report,
    wake_for,
)
from aicd_github.local.host import LocalCodeHost

BY = "aicd eval"
STOPPED = "Stopped by the person who ran aicd eval."


@dataclass(frozen=True)
class TaskRunner:
    """Runs tasks with one agent.

    Args:
        place: where the tasks' repositories are made.
        with_solutions: the issue spells out its own change, for the agent `dummy`.
    """

    parts: Parts
    store: Store
    hosts: LocalHosts
    agent: str
    place: Path
    with_solutions: bool

    async def run(self, task: EvalTask) -> TaskResult:
        """The task's result; what goes wrong with the task or around it is the result, too."""
        if self.with_solutions and task.solution is None:
            return TaskResult(id=task.id, language=task.language, outcome=Outcome.SKIPPED, reason="It has no solution.")
        try:
            return await self._run(task)
        except AicdError as error:
            return TaskResult(id=task.id, language=task.language, outcome=Outcome.ERROR, reason=error.message)

    async def _run(self, task: EvalTask) -> TaskResult:
        source = await make_repository(task, self.place / task.id)
        host = self.hosts.at(str(source), self.store.tenant)
        try:
            async with self._scratch(host) as checkout:
                missing = await missing_programs(task, checkout)
                if missing:
                    reason = f"The sandbox has no {', '.join(missing)}."
                    return TaskResult(id=task.id, language=task.language, outcome=Outcome.SKIPPED, reason=reason)
            report = await self._work(task, host, source)
            runs: tuple[TestRun, ...] | None = None
            if report.pull_request is not None and report.coded is not None and task.tests is not None:
                async with self._scratch(host) as checkout:
                    runs = await judge(task, report.coded.change_set, checkout)
            return _result(task, report, runs)
        finally:
            await asyncio.to_thread(shutil.rmtree, source, ignore_errors=True)

    async def _work(self, task: EvalTask, host: LocalCodeHost, source: Path) -> JobReport:
        """Drives the task's job until it has ended, or waits for what nobody will give it here."""
        settings, control = self.parts.settings, Control(self.parts, self.store.tenant, BY)
        text = (task.issue_with_solution() if self.with_solutions else task.issue).encode()
        issue = IssueText.parse(text, max_bytes=settings.issue_max_bytes, name=f"The issue of {task.id}")
        intake = Intake(self.store.database, self.store.tenant, self.parts.dispatch)
        order = DirectOrder(self.agent, settings.job_time_limit, anew=True)
        taken = await intake.take(str(source), host, issue, order)
        report = await self._drive(control, taken.job)
        if report.job.state is JobState.AWAITING_APPROVAL:
            await control.approve(taken.job.id)
            report = await self._drive(control, report.job)
        return report

    async def _drive(self, control: Control, job: JobView) -> JobReport:
        """Works on the job; stopped from outside, cancels it, and the run ends with it."""
        queue, foreground = ForegroundQueue(), Foreground(self.parts, control)
        await queue.add(wake_for(job))
        await queue.run(partial(foreground.handle, when_stopped=STOPPED))
        report = await read_report(self.store.database, self.store.tenant, job.id)
        if report.job.state is JobState.CANCELLED and report.job.reason == STOPPED:
            raise asyncio.CancelledError
        return report

    @asynccontextmanager
    async def _scratch(self, host: LocalCodeHost) -> AsyncIterator[Checkout]:
        """A work tree of the task's base that belongs to no job."""
        scratch = JobId(new_uuid())
        base = await host.resolve_base(None)
        try:
            checkout = await host.open(scratch, base.sha)
            try:
                yield checkout
            finally:
                await checkout.close_sandbox()
        finally:
            await asyncio.shield(host.close(scratch))


def _result(task: EvalTask, report: JobReport, runs: tuple[TestRun, ...] | None) -> TaskResult:
    opened, job = report.pull_request, report.job
    if opened is None:
        outcome = Outcome.NO_PULL_REQUEST
    elif runs is None:
        outcome = Outcome.UNJUDGED
    else:
        outcome = Outcome.RESOLVED if all(run.passed for run in runs) else Outcome.UNRESOLVED
    return TaskResult(
        id=task.id,
        language=task.language,
        outcome=outcome,
        reason=job.reason if opened is None else None,
        job_id=str(job.id),
        state=job.state.value,
        draft=opened.draft if opened else None,
        rounds=job.status.round,
        usage=report.usage,
        duration_s=round(job.seconds_worked, 3),
        tests=runs or (),
        patch=report.coded.change_set.patch_text() if report.coded else "",
    )
