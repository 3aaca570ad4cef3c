"""Ourselves: a whole worker, with steps that do nothing or with the real ones and an agent that does nothing."""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from unittest.mock import patch

from aicd_core.deliveries.service import DeliveryWorker
from aicd_core.ids import JobId, new_uuid
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.machine import JobState
from aicd_core.jobs.values import NewJob
from aicd_core.orchestrator import Dispatch, Parts, Progress, StateChanged, Worker, WorkerOptions
from aicd_core.orchestrator import engine as engines
from aicd_core.orchestrator.engine import STEPS, Step
from aicd_core.orchestrator.steps.context import StepContext, StepResult
from aicd_core.queues.open import open_bell, open_queue, open_scheduler
from aicd_core.settings import Settings
from aicd_core.testing.databases import TestUrls, opened
from race.drive import Counter, drive
from race.noop import NO_STEPS, NoHost, agent
from race.spec import CONNECTIONS, SHA, Outcome, Spec, repository_id, tenant
from race.statements import BODY, TITLE


async def with_no_steps(spec: Spec) -> Outcome:
    """The orchestrator alone."""
    return await _run(spec, NO_STEPS)


async def with_real_steps(spec: Spec) -> Outcome:
    """The orchestrator and its steps, every sub-result stored."""
    return await _run(spec, STEPS)


async def _run(spec: Spec, steps: Mapping[JobState, Step]) -> Outcome:
    counter = Counter()
    urls = TestUrls(spec.admin_url, spec.app_url, spec.system_url)
    async with (
        opened(urls, pool_size=CONNECTIONS) as (database, system),
        open_queue(system, spec.redis_url, concurrency=spec.concurrency) as queue,
        open_bell(system, spec.redis_url, concurrency=1) as bell,
    ):
        scheduler, deliveries = open_scheduler(system, spec.redis_url), DeliveryWorker(system, bell, {})
        dispatch = Dispatch(queue, in_statement=spec.redis_url is None)

        def observe(news: Progress) -> None:
            if isinstance(news, StateChanged) and news.state is JobState.PR_OPEN:
                counter.ended()
            elif isinstance(news, StateChanged) and news.reason:
                counter.failed(news.reason)

        async def give(number: int) -> JobId:
            new = NewJob(repository_id(number), "noop", f"{TITLE} {new_uuid()}", BODY, "main", SHA, 3600.0)
            owner = tenant(number)
            made = await jobs.insert_job(database.courier(owner), owner, new, wake=dispatch.in_statement)
            assert made is not None, "every job is another one"
            await dispatch.send(owner.org_id, made, f"{made}-queued-0")
            return made

        noop = agent()
        with tempfile.TemporaryDirectory(prefix="aicd-bench-") as scratch:
            settings = Settings(data_dir=Path(scratch))
            parts = Parts(database, system, NoHost(), lambda _: noop, settings, observe, dispatch)
            with patch.object(engines, "STEPS", {**steps, JobState.PLANNING: _noted(counter, steps)}):
                worker = Worker(parts, queue, scheduler, deliveries, WorkerOptions(deliveries=False))
            working = asyncio.create_task(worker.run())
            try:
                return await drive(spec, counter, give)
            finally:
                worker.stop()
                await working


def _noted(counter: Counter, steps: Mapping[JobState, Step]) -> Step:
    """Planning, which is the first step, with a note of when it began."""

    async def step(context: StepContext) -> StepResult:
        counter.started(context.job.id)
        return await steps[JobState.PLANNING](context)

    return step
