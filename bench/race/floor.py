"""The floor: the guarded statements alone."""

import asyncio

from race.spec import WARM_UP, Outcome, Spec, Stopwatch
from race.statements import EVENTS, Pipeline


async def with_walls(spec: Spec) -> Outcome:
    """As the application's role, each statement with its tenant's key in one pipelined round trip."""
    return await _run(spec, await Pipeline.open(spec.app_url, walls=True))


async def without_walls(spec: Spec) -> Outcome:
    """As the superuser, whom row-level security does not hold, and with no condition on the tenant."""
    return await _run(spec, await Pipeline.open(spec.admin_url, walls=False))


async def _run(spec: Spec, pipeline: Pipeline) -> Outcome:
    await _all(range(WARM_UP), pipeline, spec.concurrency)
    watch = Stopwatch(spec)
    await _all(range(spec.jobs), pipeline, spec.concurrency)
    outcome = watch.outcome([])
    await pipeline.close()
    return outcome


async def _all(numbers: range, pipeline: Pipeline, concurrency: int) -> None:
    left = iter(numbers)

    async def worker() -> None:
        for number in left:
            job = await pipeline.begin(number)
            for step in range(len(EVENTS)):
                await pipeline.move(number, job, step)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(worker())
