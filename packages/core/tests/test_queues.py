"""Every queue passes the same tests: in Postgres, in Redis, and in memory."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import redis

from aicd_core.db.database import SystemDatabase
from aicd_core.orchestrator import ForegroundQueue
from aicd_core.queues.open import open_queue
from aicd_core.testing.queue_contract import Opened, QueueBasics, QueueContract
from aicd_core.testing.redis import RedisServer, redis_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as started:
        yield started


def opener(system: SystemDatabase, redis_url: str | None) -> Opened:
    return lambda concurrency: open_queue(system, redis_url, concurrency=concurrency)


class TestPostgresQueue(QueueContract):
    @pytest.fixture
    def opened(self, system: SystemDatabase) -> Opened:
        return opener(system, None)


class TestRedisQueue(QueueContract):
    @pytest.fixture
    def opened(self, system: SystemDatabase, server: RedisServer) -> Opened:
        with redis.Redis.from_url(server.url) as client:
            client.flushall()
        return opener(system, server.url)


class TestForegroundQueue(QueueBasics):
    @pytest.fixture
    def opened(self) -> Opened:
        @asynccontextmanager
        async def fresh(_: int) -> AsyncIterator[ForegroundQueue]:
            yield ForegroundQueue()

        return fresh
