"""A worker that loses its database, its Redis or its connections waits and goes on."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from bullmq import Worker as BareWorker

from aicd_core.contracts import Wake
from aicd_core.db.database import SystemDatabase
from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.errors import ConflictError, InvalidInputError, UnavailableError
from aicd_core.migrations import migrate
from aicd_core.queues import adapter
from aicd_core.queues.adapter import Broker, Worker
from aicd_core.queues.consumer import Consumer, Pauses, shares
from aicd_core.queues.open import open_queue
from aicd_core.testing.databases import TestUrls
from aicd_core.testing.queue_contract import PATIENCE, new_wake, running, until
from aicd_core.testing.redis import RedisServer, free_port, redis_server


async def nothing(*_: object) -> None: ...


def into(seen: list[Wake]):
    async def handle(wake: Wake) -> None:
        seen.append(wake)

    return handle


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as started:
        yield started


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedPostgres:
    """A migrated server of this module's own that does not run."""
    postgres = EmbeddedPostgres(tmp_path_factory.mktemp("outages") / "postgres", durable=False)
    try:
        asyncio.run(migrate(postgres.start()))
    finally:
        postgres.stop()
    return postgres


@pytest.fixture
def stopped_postgres(cluster: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """That server, which a test may start; stopped at the end."""
    yield cluster
    cluster.stop()


async def test_bullmqs_worker_ends_when_postgres_is_down_at_its_start(stopped_postgres: EmbeddedPostgres):
    worker = BareWorker("q", None, {"connection": stopped_postgres.url("aicd_system"), "backend": "postgres"})
    with pytest.raises(psycopg.OperationalError):
        await worker.run()
    await worker.close()


async def test_a_queue_waits_for_a_postgres_that_is_down_at_its_start(stopped_postgres: EmbeddedPostgres):
    system = SystemDatabase.connect(stopped_postgres.url("aicd_system"))
    wake, seen = new_wake(), list[Wake]()
    async with open_queue(system, None, concurrency=1) as queue, running(queue, into(seen)) as run:
        with pytest.raises(UnavailableError):
            await queue.add(wake)
        await asyncio.sleep(1)
        assert not run.done()
        await asyncio.to_thread(stopped_postgres.start)
        await queue.add(wake)
        await until(lambda: seen == [wake])
    await system.close()


async def test_a_worker_whose_postgres_goes_away_before_it_starts_is_replaced(stopped_postgres: EmbeddedPostgres):
    # Past the check of the schema, so that it is the worker itself that finds nobody.
    system = SystemDatabase.connect(stopped_postgres.url("aicd_system"))
    names: list[str] = []

    async def note(name: str, _data) -> None:
        names.append(name)

    consumer = Consumer(Broker("postgres", stopped_postgres.url("aicd_system")), "aicd-jobs", note, 1)
    task = asyncio.ensure_future(consumer.run(nothing))
    await asyncio.sleep(1)
    await asyncio.to_thread(stopped_postgres.start)
    async with open_queue(system, None, concurrency=1) as queue:
        await queue.add(new_wake())
    await until(lambda: names == ["wake"])
    consumer.stop()
    await asyncio.wait_for(task, PATIENCE)
    await system.close()


async def test_a_worker_goes_on_after_postgres_was_away_in_the_middle(stopped_postgres: EmbeddedPostgres):
    stopped_postgres.start()
    system = SystemDatabase.connect(stopped_postgres.url("aicd_system"))
    wakes, seen = [new_wake(), new_wake()], list[Wake]()
    async with open_queue(system, None, concurrency=1) as queue, running(queue, into(seen)):
        await queue.add(wakes[0])
        await until(lambda: seen == wakes[:1])
        await asyncio.to_thread(stopped_postgres.stop)
        await asyncio.sleep(2)
        await asyncio.to_thread(stopped_postgres.start)
        await queue.add(wakes[1])
        await until(lambda: wakes[1] in seen)
    await system.close()


async def test_a_queue_waits_for_a_redis_that_is_down_at_its_start(system: SystemDatabase, tmp_path: Path):
    server = RedisServer(tmp_path / "redis", free_port())
    wake, seen = new_wake(), list[Wake]()
    try:
        async with open_queue(system, server.url, concurrency=1) as queue, running(queue, into(seen)) as run:
            with pytest.raises(UnavailableError, match="AICD_REDIS_URL"):
                await queue.add(wake)
            await asyncio.sleep(1)
            assert not run.done()
            await asyncio.to_thread(server.start)
            await queue.add(wake)
            await until(lambda: seen == [wake])
    finally:
        server.kill()


async def test_wakes_in_a_redis_that_is_killed_in_the_middle_are_handed_out_later(
    system: SystemDatabase, server: RedisServer
):
    # Append-only with fsync once a second, so what was added a good second before is there again.
    wakes, seen = [new_wake(), new_wake(), new_wake()], list[Wake]()
    async with open_queue(system, server.url, concurrency=1) as queue, running(queue, into(seen)):
        await queue.add(wakes[0])
        await queue.add(wakes[1], delay=3)
        await until(lambda: wakes[0] in seen)
        await asyncio.sleep(1.5)
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(2)
        await asyncio.to_thread(server.start)
        await queue.add(wakes[2])
        await until(lambda: set(wakes[1:]) <= set(seen))


async def test_a_queue_can_be_stopped_while_its_redis_is_away(system: SystemDatabase, server: RedisServer):
    wake, began, go_on, ended = new_wake(), asyncio.Event(), asyncio.Event(), list[Wake]()

    async def handle(given: Wake) -> None:
        began.set()
        await go_on.wait()
        ended.append(given)

    async with open_queue(system, server.url, concurrency=2) as queue, running(queue, handle) as run:
        await queue.add(wake)
        await asyncio.wait_for(began.wait(), PATIENCE)
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(2)
        await queue.stop()
        go_on.set()
        await asyncio.wait_for(run, PATIENCE)
    assert ended == [wake]


async def test_a_queue_can_be_stopped_before_it_found_its_redis(system: SystemDatabase):
    async with open_queue(system, f"redis://127.0.0.1:{free_port()}", concurrency=1) as queue:
        run = asyncio.ensure_future(queue.run(nothing))
        await asyncio.sleep(0.5)
        await queue.stop()
        await asyncio.wait_for(run, PATIENCE)


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost", "redis://localhost:port"])
async def test_what_is_no_url_of_a_redis_is_refused_and_not_shown(system: SystemDatabase, url: str):
    with pytest.raises(InvalidInputError, match="AICD_REDIS_URL") as refused:
        async with open_queue(system, url, concurrency=1):
            raise AssertionError("it was opened")
    assert url not in refused.value.message


async def test_a_redis_that_hangs_is_given_up_and_used_again(
    system: SystemDatabase, server: RedisServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(adapter, "REDIS_PRODUCER_TIMEOUT", 1)
    monkeypatch.setattr(adapter, "REDIS_WORKER_TIMEOUT", 2)
    wakes, seen = [new_wake(), new_wake()], list[Wake]()
    async with open_queue(system, server.url, concurrency=1) as queue, running(queue, into(seen)):
        await queue.add(wakes[0])
        await until(lambda: wakes[0] in seen)
        server.pause()
        with pytest.raises(UnavailableError):
            await queue.add(wakes[1])
        await asyncio.sleep(2)
        server.resume()
        await queue.add(wakes[1])
        await until(lambda: wakes[1] in seen)


async def test_a_redis_that_lost_everything_takes_new_wakes(system: SystemDatabase, server: RedisServer):
    lost, wake, seen = new_wake(), new_wake(), list[Wake]()
    async with open_queue(system, server.url, concurrency=1) as queue, running(queue, into(seen)):
        await queue.add(lost, delay=600)
        with redis.Redis.from_url(server.url) as client:
            client.flushall()
        await queue.add(wake)
        await until(lambda: seen == [wake])


async def test_a_worker_goes_on_when_postgres_drops_its_connections(system: SystemDatabase, database_urls: TestUrls):
    def drop() -> None:
        with psycopg.connect(database_urls.admin, autocommit=True) as connection:
            cursor = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND usename = 'aicd_system'"
            )
            assert cursor.rowcount >= 2, "the worker's connections, one of them listening"

    await survives_being_dropped(system, None, drop)


async def test_a_worker_goes_on_when_redis_drops_its_connections(system: SystemDatabase, server: RedisServer):
    def drop() -> None:
        with redis.Redis.from_url(server.url) as client:
            assert client.client_kill_filter(_type="normal", skipme=True) >= 2

    await survives_being_dropped(system, server.url, drop)


async def survives_being_dropped(system: SystemDatabase, redis_url: str | None, drop) -> None:
    """Once while the worker is idle, and once while a handler is at work."""
    during, idle, seen = new_wake(), new_wake(), list[Wake]()

    async def handle(wake: Wake) -> None:
        if wake == during and not seen:
            await asyncio.to_thread(drop)
        seen.append(wake)

    async with open_queue(system, redis_url, concurrency=1) as queue, running(queue, handle):
        await queue.add(during)
        await until(lambda: during in seen)
        await asyncio.sleep(2)
        await asyncio.to_thread(drop)
        await queue.add(idle)
        await until(lambda: idle in seen)


@pytest.mark.parametrize(
    "damage",
    [
        "ALTER FUNCTION bullmq.add_job RENAME TO add_job_2",
        "INSERT INTO bullmq.migration (version, name) VALUES (9999, 'newer')",
        "DROP SCHEMA bullmq CASCADE",
    ],
)
async def test_a_worker_refuses_a_schema_of_the_queue_that_it_does_not_know(
    system: SystemDatabase, database_urls: TestUrls, damage: str
):
    with psycopg.connect(database_urls.admin, autocommit=True) as connection:
        connection.execute(damage.encode())
    async with open_queue(system, None, concurrency=1) as queue:
        with pytest.raises(ConflictError, match="aicd migrate") as refused:
            await asyncio.wait_for(queue.run(nothing), PATIENCE)
    assert refused.value.code == "queue_schema_mismatch"


async def test_pauses_between_tries_grow_and_end_when_stopped():
    stopping = asyncio.Event()
    pauses = Pauses(stopping)
    clock = asyncio.get_running_loop().time
    began = clock()
    await pauses.wait()
    first = clock() - began
    await pauses.wait()
    assert clock() - began - first > first * 0.9
    stopping.set()
    await asyncio.wait_for(pauses.wait(), PATIENCE)


@pytest.mark.parametrize("concurrency", [1, 12, 13, 30, 48])
def test_handlers_are_shared_out_evenly_over_the_workers(concurrency: int):
    found = shares(concurrency, 12)
    assert sum(found) == concurrency
    assert max(found) <= 12
    assert max(found) - min(found) <= 1


async def test_a_drained_worker_does_not_try_to_fetch_again(server: RedisServer):
    # Without: BullMQ does so as long as its Redis is away, and the drain waits for that.
    worker = Worker(Broker("redis", server.url), "aicd-jobs", nothing, 1)

    async def gone(_token: str) -> None:
        raise redis.ConnectionError

    worker._ensure_client_names = nothing
    worker.moveToActive = gone
    with pytest.raises(redis.ConnectionError):
        await worker.getNextJob("t")
    worker.paused = True
    assert await worker.getNextJob("t") is None
    await worker.close()


async def test_a_drained_worker_handles_an_entry_that_was_on_its_way(server: RedisServer):
    # The loop is parked by then: without the guard in getNextJob the entry stays locked until that runs out.
    handled = asyncio.Event()

    async def process(*_: object) -> None:
        handled.set()

    worker = Worker(Broker("redis", server.url), "aicd-jobs", process, 1)

    class Fetched:
        id, token, opts, name, deferredFailure = "1", "t", {}, "wake", None  # noqa: N815
        data: dict[str, str] = {}  # noqa: RUF012

    async def arrives_late(_token: str) -> Fetched:
        worker.paused = True
        return Fetched()

    worker.drained = False
    worker._ensure_client_names = nothing
    worker.moveToActive = arrives_late
    worker.backend.moveToCompleted = lambda *_a, **_k: asyncio.sleep(0)
    assert await worker.getNextJob("t") is None
    assert handled.is_set()
    await worker.close()
