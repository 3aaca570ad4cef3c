"""Opening the queue and the scheduler that the settings ask for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from aicd_core.db.database import SystemDatabase
from aicd_core.db.urls import libpq_url
from aicd_core.queues.adapter import Broker
from aicd_core.queues.bells import QueueBell
from aicd_core.queues.chores import ChoreScheduler
from aicd_core.queues.consumer import Check
from aicd_core.queues.options import DELIVERIES
from aicd_core.queues.schema import require_queue_schema
from aicd_core.queues.wakes import PostgresAdder, RedisAdder, WakeQueue


@asynccontextmanager
async def open_queue(system: SystemDatabase, redis_url: str | None, *, concurrency: int) -> AsyncIterator[WakeQueue]:
    """The queue of wakes: in Redis where there is a URL of one (AICD_REDIS_URL), else in Postgres.

    Args:
        system: connections as the system role; in Postgres the workers open some of their own from its URL.
        concurrency: wakes handled at once by this process.

    Raises:
        InvalidInputError: that is not the URL of a Redis.
    """
    broker = _broker(system, redis_url)
    adder = RedisAdder(broker) if redis_url else PostgresAdder(system)
    try:
        yield WakeQueue(broker, adder, _check(system, redis_url), concurrency)
    finally:
        await adder.close()


@asynccontextmanager
async def open_bell(system: SystemDatabase, redis_url: str | None, *, concurrency: int) -> AsyncIterator[QueueBell]:
    """The bell of deliveries, on the same backend as the queue; arguments and errors as of `open_queue`."""
    bell = QueueBell(_broker(system, redis_url), DELIVERIES, _check(system, redis_url), concurrency)
    try:
        yield bell
    finally:
        await bell.close()


def open_scheduler(system: SystemDatabase, redis_url: str | None) -> ChoreScheduler:
    """The scheduler of chores, on the same backend as the queue; raises as `open_queue`."""
    return ChoreScheduler(_broker(system, redis_url), _check(system, redis_url))


def _broker(system: SystemDatabase, redis_url: str | None) -> Broker:
    if redis_url:
        return Broker.redis(redis_url)
    return Broker("postgres", libpq_url(system.engine.url))


def _check(system: SystemDatabase, redis_url: str | None) -> Check:
    return _nothing if redis_url else partial(require_queue_schema, system)


async def _nothing() -> None:
    """Redis has no schema."""
