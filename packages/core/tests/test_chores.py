"""Chores by the clock: each on one of the machines, again and again, whatever becomes of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest
import redis

from aicd_core.contracts import Chore
from aicd_core.db.database import SystemDatabase
from aicd_core.errors import InvalidInputError
from aicd_core.queues import chores as module
from aicd_core.queues.open import open_scheduler
from aicd_core.testing.queue_contract import PATIENCE, until
from aicd_core.testing.redis import RedisServer, redis_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture(params=["postgres", "redis"])
def redis_url(request: pytest.FixtureRequest, server: RedisServer) -> str | None:
    """The Redis to use, emptied; None for Postgres."""
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    return None if request.param == "postgres" else server.url


@asynccontextmanager
async def machine(system: SystemDatabase, redis_url: str | None, chores: Sequence[Chore]) -> AsyncIterator[None]:
    scheduler = open_scheduler(system, redis_url)
    task = asyncio.ensure_future(scheduler.run(chores))
    try:
        yield
    finally:
        await scheduler.stop()
        await asyncio.wait_for(task, PATIENCE)


async def test_a_chore_runs_again_and_again_on_one_of_the_machines(system: SystemDatabase, redis_url: str | None):
    clock = asyncio.get_running_loop().time
    times: dict[str, list[float]] = {"a": [], "b": []}

    def sweep(name: str) -> Chore:
        async def call() -> None:
            times[name].append(clock())

        return Chore("sweep", 1.0, call)

    def total() -> int:
        return len(times["a"]) + len(times["b"])

    began = clock()
    async with machine(system, redis_url, [sweep("a")]), machine(system, redis_url, [sweep("b")]):
        await until(lambda: total() >= 4)
        # On each of them it would be twice as many; one run may be early, since the first is due at once.
        assert total() <= clock() - began + 2


async def test_a_chore_that_fails_runs_again(system: SystemDatabase, redis_url: str | None):
    calls: list[str] = []

    async def fails() -> None:
        calls.append("fails")
        raise ValueError("no")

    async def works() -> None:
        calls.append("works")

    async with machine(system, redis_url, [Chore("fails", 1.0, fails), Chore("works", 1.0, works)]):
        await until(lambda: min(calls.count("fails"), calls.count("works")) >= 2)


async def test_a_chore_that_is_no_longer_asked_for_is_given_up(system: SystemDatabase, redis_url: str | None):
    calls: list[str] = []

    def chore(name: str) -> Chore:
        async def call() -> None:
            calls.append(name)

        return Chore(name, 1.0, call)

    async with machine(system, redis_url, [chore("old"), chore("kept")]):
        await until(lambda: {"old", "kept"} <= set(calls))
    async with machine(system, redis_url, [chore("kept")]):
        await until(lambda: calls[-2:] == ["kept", "kept"])
        producer = module.Producer(open_scheduler(system, redis_url)._broker, "aicd-chores")
        assert set(await producer.schedules()) == {"kept"}
        await producer.close()


async def test_chores_that_redis_lost_are_scheduled_anew(
    system: SystemDatabase, server: RedisServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "LOOK_EVERY", 0.5)
    calls: list[int] = []

    async def call() -> None:
        calls.append(1)

    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        async with machine(system, server.url, [Chore("sweep", 1.0, call)]):
            await until(lambda: bool(calls))
            client.flushall()
            calls.clear()
            await until(lambda: len(calls) >= 2)


async def test_two_chores_of_one_name_and_too_short_intervals_are_refused(system: SystemDatabase):
    async def call() -> None: ...

    for chores, says in (
        ([Chore("sweep", 1, call), Chore("sweep", 2, call)], "two chores"),
        ([Chore("sweep", 0.5, call)], "shortest interval"),
    ):
        with pytest.raises(InvalidInputError, match=says):
            await open_scheduler(system, None).run(chores)
