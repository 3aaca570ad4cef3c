"""Each guard around BullMQ, and what BullMQ does without it.

`bare` is BullMQ with its own settings beside ours, in the same run: where a test says that ours comes first, that is
the proof that the guard is needed, and no claim about time.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from unittest.mock import patch

import pytest
import redis
from bullmq import Worker as BareWorker

from aicd_core.contracts import Wake
from aicd_core.db.database import SystemDatabase
from aicd_core.ids import new_uuid
from aicd_core.queues import adapter, consumer, options
from aicd_core.queues.adapter import Broker, Producer
from aicd_core.queues.handling import contained
from aicd_core.queues.open import open_queue
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.queue_contract import PATIENCE, new_wake, running, until
from aicd_core.testing.queue_worker import Orders, WorkerProcess
from aicd_core.testing.redis import RedisServer, redis_server

QUICK = {"lockDuration": 1000, "stalledInterval": 500}
"""Settings with which a killed worker's entry comes again within 2 s."""
BACKENDS = ("postgres", "redis")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture
def brokers(database_urls: TestUrls, server: RedisServer) -> dict[str, Broker]:
    return {"postgres": Broker("postgres", database_urls.system), "redis": Broker("redis", server.url)}


@pytest.fixture(params=BACKENDS)
def broker(request: pytest.FixtureRequest, brokers: dict[str, Broker]) -> Broker:
    return brokers[request.param]


@pytest.fixture(params=BACKENDS)
def backend_url(request: pytest.FixtureRequest, server: RedisServer) -> str | None:
    """The Redis to use, emptied; None for Postgres."""
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    return None if request.param == "postgres" else server.url


async def nothing(*_: object) -> None: ...


@contextmanager
def quick(settings: dict[str, int]) -> Iterator[None]:
    """Within the block, workers that are made have these settings."""
    with patch.object(adapter, "WORKER_OPTIONS", {**adapter.WORKER_OPTIONS, **settings}):
        yield


def into(seen: list[Wake]):
    async def handle(wake: Wake) -> None:
        seen.append(wake)

    return handle


def queue_name() -> str:
    return f"test-{new_uuid()}"


def contain(process):
    """A handler as our queues hand it to BullMQ."""

    async def handle(name: str, data) -> None:
        await contained(lambda: process(name, data), name)

    return handle


@asynccontextmanager
async def ours(broker: Broker, queue: str, process=None, concurrency: int = 1) -> AsyncIterator[list[str]]:
    """Our consumer at work on a queue; the names of the entries that it handled."""
    seen: list[str] = []

    async def handle(name: str, data) -> None:
        seen.append(name)
        if process:
            await process(name, data)

    consuming = consumer.Consumer(broker, queue, handle, concurrency)
    task = asyncio.ensure_future(consuming.run(nothing))
    try:
        yield seen
    finally:
        consuming.stop()
        async with asyncio.timeout(PATIENCE):
            await task


@asynccontextmanager
async def bare(broker: Broker, queue: str, process=None, **settings) -> AsyncIterator[tuple[list[str], asyncio.Task]]:
    """A worker of BullMQ as it comes: what it handled, and the task of its `run`."""
    seen: list[str] = []

    async def handle(job, _token):
        seen.append(job.name)
        return await process(job.name, job.data) if process else None

    connection = {"connection": broker.url}
    if broker.backend == "postgres":
        connection["backend"] = "postgres"
    worker = BareWorker(queue, handle, {**connection, "autorun": False, **settings})
    if broker.backend == "postgres":
        worker.backend.connection._ready = True  # it may not migrate, as this role
    task = asyncio.ensure_future(worker.run())
    try:
        yield seen, task
    finally:
        task.cancel()
        await asyncio.wait({task})
        with suppress(Exception):
            await worker.close(force=True)


@asynccontextmanager
async def producing(broker: Broker, queue: str) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    producer = Producer(broker, queue)

    async def add(name: str, *, key: str = "", delay: float = 0.0) -> None:
        await producer.add(name, {}, key=key or f"k{new_uuid()}", delay_ms=round(delay * 1000))

    try:
        yield add
    finally:
        await producer.close()


async def test_an_idle_worker_on_redis_is_not_cut_off_from_its_wait(brokers: dict[str, Broker]):
    # Without: redis-py gives the wait up after 5 s, pauses, and begins it again, longer each time.
    broker = brokers["redis"]
    mine = adapter.Worker(broker, queue_name(), nothing, 1)
    theirs = BareWorker(queue_name(), None, {"connection": broker.url})
    waits = [asyncio.ensure_future(worker.backend.waitForJob(5.2)) for worker in (mine, theirs)]
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        assert [wait.done() for wait in waits] == [True, False]
        waits[1].cancel()
        await asyncio.wait(waits)
    for worker in (mine, theirs):
        await worker.close()


async def test_a_delay_on_redis_is_no_whole_number_of_seconds(brokers: dict[str, Broker]):
    broker, mine, theirs = brokers["redis"], queue_name(), queue_name()
    finished: list[str] = []

    async def rounds(name: str, seen: list[str], add: Callable[..., Awaitable[None]]) -> None:
        for number in range(1, 4):
            await add("wake", delay=0.1)
            await until(lambda expected=number: len(seen) == expected)
        finished.append(name)

    async with (
        ours(broker, mine) as seen,
        bare(broker, theirs) as (late, _),
        producing(broker, mine) as add,
        producing(broker, theirs) as add_bare,
    ):
        await asyncio.sleep(0.5)
        await asyncio.gather(rounds("bare", late, add_bare), rounds("ours", seen, add))
    assert finished == ["ours", "bare"]


async def test_a_delayed_entry_on_postgres_does_not_wait_for_a_later_one(brokers: dict[str, Broker]):
    broker, mine, theirs = brokers["postgres"], queue_name(), queue_name()
    async with (
        ours(broker, mine) as seen,
        bare(broker, theirs, drainDelay=1) as (late, _),
        producing(broker, mine) as add,
        producing(broker, theirs) as add_bare,
    ):
        for each in (add, add_bare):
            await each("later", delay=60)
        await asyncio.sleep(2.5)
        for each in (add_bare, add):
            await each("sooner", delay=0.5)
        await until(lambda: seen == ["sooner"])
        await asyncio.sleep(1)
        assert late == []


async def test_a_worker_fetches_one_entry_at_a_time_however_many_handlers_are_idle(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
):
    under_way, most = {"ours": 0, "bare": 0}, {"ours": 0, "bare": 0}
    real = BareWorker.moveToActive

    async def counted(worker, *arguments):
        whose = "ours" if isinstance(worker, adapter.Worker) else "bare"
        under_way[whose] += 1
        most[whose] = max(most[whose], under_way[whose])
        try:
            return await real(worker, *arguments)
        finally:
            under_way[whose] -= 1

    monkeypatch.setattr(BareWorker, "moveToActive", counted)
    for whose, worker in (("ours", partial(ours, concurrency=8)), ("bare", partial(bare, concurrency=8))):
        queue = queue_name()
        async with producing(broker, queue) as add, worker(broker, queue) as given:
            seen = given if whose == "ours" else given[0]
            for number in range(6):
                await add(f"entry {number}")
            await until(lambda seen=seen: len(seen) == 6)
    assert most["ours"] == 1
    assert most["bare"] > 1


async def test_a_handler_that_is_cancelled_from_within_does_not_end_the_worker(broker: Broker):
    async def cancelled(_name, _data):
        raise asyncio.CancelledError

    mine, theirs, made = queue_name(), queue_name(), list[adapter.Worker]()

    def make(*arguments) -> adapter.Worker:
        made.append(adapter.Worker(*arguments))
        return made[-1]

    with patch.object(consumer, "Worker", make):
        async with (
            ours(broker, mine, contain(cancelled)) as seen,
            bare(broker, theirs, cancelled) as (once, run),
            producing(broker, mine) as add,
            producing(broker, theirs) as add_bare,
        ):
            await add("wake")
            await add_bare("wake")
            await until(run.done)
            assert once == ["wake"]
            await until(lambda: len(seen) == 3)
    assert len(made) == 1


async def test_an_exception_whose_text_postgres_cannot_store_does_not_hold_up_its_entry(brokers: dict[str, Broker]):
    # Without: BullMQ cannot book the failure, and the entry stays locked until its lock runs out.
    async def fails(_name, _data):
        raise ValueError("a\x00b")

    broker, mine, theirs = brokers["postgres"], queue_name(), queue_name()
    async with (
        ours(broker, mine, contain(fails)) as seen,
        bare(broker, theirs, fails, **options.WORKER_OPTIONS) as (stuck, _),
        producing(broker, mine) as add,
        producing(broker, theirs) as add_bare,
    ):
        await add_bare("wake")
        await until(lambda: stuck == ["wake"])
        await add("wake")
        await until(lambda: len(seen) == 3)  # after 1 and 2 s
        assert stuck == ["wake"]


async def test_what_a_handler_returns_is_not_stored(brokers: dict[str, Broker], database_urls: TestUrls):
    # Without: Postgres refuses the NUL, and the entry counts as failed although its handler was done.
    async def returns(_name, _data):
        return "\x00"

    broker, mine, theirs = brokers["postgres"], queue_name(), queue_name()
    async with (
        ours(broker, mine, contain(returns)) as seen,
        bare(broker, theirs, returns) as (again, _),
        producing(broker, mine) as add,
        producing(broker, theirs) as add_bare,
    ):
        await add("wake")
        await add_bare("wake")
        await until(lambda: len(again) > 1)
        assert seen == ["wake"]


@pytest.mark.parametrize("kept", [False, True])
async def test_a_failed_entry_that_is_kept_swallows_the_next_of_its_key(broker: Broker, kept: bool):
    # True is BullMQ's own.
    async def fails(_name, _data):
        raise ValueError("no")

    queue, entry = queue_name(), {**adapter.ENTRY_OPTIONS, "attempts": 1, "removeOnFail": not kept}
    with patch.object(adapter, "ENTRY_OPTIONS", entry):
        async with ours(broker, queue, contain(fails)) as seen, producing(broker, queue) as add:
            await add("first", key="same")
            await until(lambda: seen == ["first"])
            await asyncio.sleep(0.5)
            await add("second", key="same")
            await add("third", key="other")
            await until(lambda: "third" in seen)
    assert ("second" in seen) is not kept


@pytest.mark.parametrize("allowed", [20, 1])
async def test_a_wake_survives_the_second_kill_of_its_worker(
    database_urls: TestUrls, system: SystemDatabase, server: RedisServer, backend_url: str | None, allowed: int
):
    # Without (1 is BullMQ's own): the entry fails for good, and the third worker never sees it.
    settings = {**QUICK, "maxStalledCount": allowed}
    orders = Orders(system_url=database_urls.system, redis_url=backend_url, hold=600, options=settings)
    wake = new_wake()
    async with open_queue(system, backend_url, concurrency=1) as queue:
        await queue.add(wake)
        for _ in range(2):
            worker = WorkerProcess.start(orders)
            assert await worker.says() == f"began {wake.key}"
            worker.kill()
        seen: list[Wake] = []
        other = new_wake()
        with quick(settings):
            async with running(queue, into(seen)):
                await asyncio.sleep(3)
                await queue.add(other)
                await until(lambda: other in seen)
    assert (wake in seen) == (allowed > 1)


async def test_with_our_settings_a_killed_workers_wake_comes_again(
    database_urls: TestUrls, system: SystemDatabase, server: RedisServer
):
    # Of BullMQ's own: only after a minute, past the patience of this test.
    async def once(redis_url: str | None) -> None:
        wake, seen = new_wake(), list[Wake]()
        async with open_queue(system, redis_url, concurrency=1) as queue:
            await queue.add(wake)
            worker = WorkerProcess.start(Orders(system_url=database_urls.system, redis_url=redis_url, hold=600))
            assert await worker.says() == f"began {wake.key}"
            worker.kill()
            async with running(queue, into(seen)), asyncio.timeout(40):
                await until(lambda: seen == [wake])

    await asyncio.gather(once(None), once(server.url))


async def test_a_process_whose_event_loop_is_blocked_past_its_lock_goes_on(
    database_urls: TestUrls, system: SystemDatabase, backend_url: str | None
):
    # The wake is handled twice; the job's lease in Postgres decides which of the two may write.
    orders = Orders(system_url=database_urls.system, redis_url=backend_url, hold=6, block=True, options=QUICK)
    first, second, seen = new_wake(), new_wake(), list[Wake]()
    async with open_queue(system, backend_url, concurrency=1) as queue:
        worker = WorkerProcess.start(orders)
        try:
            await queue.add(first)
            assert await worker.says() == f"began {first.key}"
            with quick(QUICK):
                async with running(queue, into(seen)):
                    await until(lambda: seen == [first])
            assert await worker.says() == f"ended {first.key}"
            await queue.add(second)
            assert await worker.says() == f"began {second.key}"
        finally:
            worker.kill()


async def test_a_drained_workers_locks_are_kept_until_its_last_handler_has_ended(
    system: SystemDatabase, backend_url: str | None
):
    # BullMQ's close() ends the renewal when its loop ends: the entry is then taken up a second time.
    began, go_on, other = asyncio.Event(), asyncio.Event(), list[Wake]()
    wakes = [new_wake(), new_wake()]

    async def handle(wake: Wake) -> None:
        if wake == wakes[0]:
            began.set()
            await go_on.wait()

    with quick(QUICK):
        async with open_queue(system, backend_url, concurrency=2) as leaving, running(leaving, handle) as run:
            for wake in wakes:
                await leaving.add(wake)
            await asyncio.wait_for(began.wait(), PATIENCE)
            await leaving.stop()
            async with open_queue(system, backend_url, concurrency=1) as staying, running(staying, into(other)):
                await asyncio.sleep(4)
                assert not run.done()
                go_on.set()
                await asyncio.wait_for(run, PATIENCE)
    assert wakes[0] not in other
