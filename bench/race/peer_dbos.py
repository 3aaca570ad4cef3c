"""DBOS: every pipeline is a durable workflow whose steps run the guarded statements."""

import asyncio

from dbos import DBOS

from race.drive import Counter, drive
from race.spec import CONNECTIONS, Outcome, Spec
from race.statements import EVENTS, Pipeline


async def run(spec: Spec) -> Outcome:
    """Workflows are started directly, without a queue, which is DBOS's fastest way; at most `concurrency` at once."""
    pipeline, counter = await Pipeline.open(spec.app_url, walls=True), Counter()
    url = spec.admin_url.replace("postgresql://", "postgresql+psycopg://")
    DBOS(
        config={
            "name": "bench",
            "system_database_url": url,
            "sys_db_pool_size": CONNECTIONS,
            "log_level": "ERROR",
        }
    )
    room = asyncio.Semaphore(spec.concurrency)

    @DBOS.step()  # type: ignore[untyped-decorator] # it may not be installed
    async def step(number: int, job: str, at: int) -> None:
        if at == 0:
            counter.started(job)
        await pipeline.move(number, job, at)

    @DBOS.workflow()  # type: ignore[untyped-decorator] # it may not be installed
    async def workflow(number: int, job: str) -> None:
        for at in range(len(EVENTS)):
            await step(number, job, at)
        counter.ended()
        room.release()

    async def give(number: int) -> str:
        await room.acquire()
        job = str(await pipeline.begin(number))
        await DBOS.start_workflow_async(workflow, number, job)
        return job

    DBOS.launch()
    try:
        return await drive(spec, counter, give)
    finally:
        DBOS.destroy()
        await pipeline.close()
