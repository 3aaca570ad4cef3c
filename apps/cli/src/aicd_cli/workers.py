"""The composition of a worker process; see `runtime.load_workers` for why it stands alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from aicd_cli.runtime import leftovers
from aicd_core.orchestrator import Dispatch, Parts, Worker, WorkerOptions
from aicd_core.queues.adapter import reach_redis
from aicd_core.queues.open import open_queue, open_scheduler

__all__ = ["open_queue", "open_worker", "reach_redis"]


@asynccontextmanager
async def open_worker(parts: Parts, options: WorkerOptions, concurrency: int) -> AsyncIterator[Worker]:
    """A worker that takes up to `concurrency` jobs at once, ready to run."""
    redis_url = parts.settings.redis_url
    async with open_queue(parts.system, redis_url, concurrency=concurrency) as queue:
        sending = replace(parts, dispatch=Dispatch(queue, in_statement=redis_url is None))
        scheduler = open_scheduler(parts.system, redis_url)
        yield Worker(sending, queue, scheduler, options, lambda: leftovers(parts.settings))
