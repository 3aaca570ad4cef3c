"""Bare BullMQ: every step is an entry of its own, whose handler runs the guarded statement and adds the next one."""

import asyncio
from typing import Any

from bullmq.queue import Queue
from bullmq.worker import Worker

from aicd_core.queues.adapter import Broker
from aicd_core.queues.options import REDIS_WORKER_TIMEOUT
from race.drive import Counter, drive
from race.spec import Outcome, Spec
from race.statements import EVENTS, Pipeline

QUEUE = "bare"
ENTRY = {"removeOnComplete": True, "removeOnFail": True}


async def run(spec: Spec) -> Outcome:
    """On Redis where the run has one, else on Postgres as the superuser; one Worker, as BullMQ comes."""
    broker = Broker.redis(spec.redis_url) if spec.redis_url else Broker("postgres", spec.admin_url)
    pipeline, counter = await Pipeline.open(spec.app_url, walls=True), Counter()
    options: Any = broker.options(REDIS_WORKER_TIMEOUT)
    queue = Queue(QUEUE, options)

    async def step(entry: Any, _token: str) -> None:
        data = entry.data
        if data["step"] == 0:
            counter.started(data["job"])
        await pipeline.move(data["number"], data["job"], data["step"])
        if data["step"] + 1 == len(EVENTS):
            counter.ended()
        else:
            await add(data["number"], data["job"], data["step"] + 1)

    async def add(number: int, job: str, at: int) -> None:
        entry: Any = {**ENTRY, "jobId": f"{job}-{at}"}
        await queue.add("step", {"number": number, "job": job, "step": at}, entry)

    async def give(number: int) -> str:
        job = str(await pipeline.begin(number))
        await add(number, job, 0)
        return job

    working: Any = {**options, "concurrency": spec.concurrency, "autorun": False, "drainDelay": 1}
    processor: Any = step
    worker = Worker(QUEUE, processor, working)
    running = asyncio.create_task(worker.run())
    try:
        return await drive(spec, counter, give)
    finally:
        await worker.close()
        await asyncio.wait({running}, timeout=5)
        await queue.close()
        await pipeline.close()
