"""procrastinate: every step is a task that runs the guarded statement and defers the next one."""

import asyncio
from contextlib import suppress

import procrastinate

from race.drive import Counter, drive
from race.spec import CONNECTIONS, Outcome, Spec
from race.statements import EVENTS, Pipeline


async def run(spec: Spec) -> Outcome:
    """One worker that listens; jobs are deleted when they succeeded, as BullMQ's entries and our wakes are."""
    pipeline, counter = await Pipeline.open(spec.app_url, walls=True), Counter()
    connector = procrastinate.PsycopgConnector(conninfo=spec.admin_url, min_size=CONNECTIONS, max_size=CONNECTIONS)
    app = procrastinate.App(connector=connector)

    @app.task(name="step")  # type: ignore[untyped-decorator] # it may not be installed
    async def step(number: int, job: str, at: int) -> None:
        if at == 0:
            counter.started(job)
        await pipeline.move(number, job, at)
        if at + 1 == len(EVENTS):
            counter.ended()
        else:
            await step.defer_async(number=number, job=job, at=at + 1)

    async def give(number: int) -> str:
        job = str(await pipeline.begin(number))
        await step.defer_async(number=number, job=job, at=0)
        return job

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        working = app.run_worker_async(
            concurrency=spec.concurrency, install_signal_handlers=False, delete_jobs="successful"
        )
        worker = asyncio.create_task(working)
        try:
            return await drive(spec, counter, give)
        finally:
            worker.cancel()
            with suppress(asyncio.CancelledError):
                await worker
            await pipeline.close()
