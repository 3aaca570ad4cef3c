"""Stores beside the database in backups: what Redis has comes back as it was, and nothing that fails costs a backup."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import redis

from aicd_core.backups.redis_store import KEPT, RedisStore
from aicd_core.backups.stores import check_store, installed_stores, open_redis, save_stores
from aicd_core.backups.values import Dump, Kept
from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_core.queues.adapter import Broker, Entry, Producer, Worker
from aicd_core.queues.options import CHORES, DELIVERIES, JOBS, WAKE
from aicd_core.telemetry.backups import BackupFigures, Record
from aicd_core.testing.redis import RedisServer, redis_server

LATER = 3_600_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture
def url(server: RedisServer) -> str:
    """A Redis with somebody else's key in it, and nothing of ours."""
    server.flush()
    with redis.Redis.from_url(server.url) as client:
        client.set("theirs", "stays")
    return server.url


async def fill(url: str, wakes: int) -> None:
    """Wakes that wait, one that is due in an hour, a ring, and a schedule."""
    producers = {queue: Producer(Broker.redis(url), queue) for queue in (JOBS, DELIVERIES, CHORES)}
    for number in range(wakes):
        await producers[JOBS].add(WAKE, {"key": f"k{number}"}, key=f"k{number}", delay_ms=0)
    await producers[JOBS].add(WAKE, {"key": "late", "é": "☃"}, key="late", delay_ms=LATER)
    await producers[DELIVERIES].add("ring", {}, key="r", delay_ms=0)
    await producers[CHORES].schedule("sweep", LATER)
    for producer in producers.values():
        await producer.close()


async def found(url: str, queue: str) -> dict[str, Entry]:
    producer = Producer(Broker.redis(url), queue)
    entries = {one.key: one async for one in producer.entries()}
    await producer.close()
    return entries


async def test_what_waits_in_redis_is_put_back_under_its_own_keys_and_times(url: str, tmp_path: Path):
    await fill(url, 501)
    store, before = RedisStore(url), {queue: await found(url, queue) for queue in (JOBS, DELIVERIES)}
    at_work = asyncio.Event()

    async def work(_name: str, _data: Mapping[str, object]) -> None:
        at_work.set()
        await asyncio.Event().wait()

    worker = Worker(Broker.redis(url), JOBS, work, 1)
    running = asyncio.ensure_future(worker.run())
    await at_work.wait()
    assert await store.save(tmp_path) == {"entries": 503, "schedules": 1}
    running.cancel()
    await asyncio.wait({running})
    await worker.close(force=True)

    assert await store.is_used()
    await store.clear()
    assert not await store.is_used()
    await store.lay(tmp_path)
    await store.lay(tmp_path)  # each under its own key: never twice
    after = {queue: await found(url, queue) for queue in (JOBS, DELIVERIES)}
    assert {queue: set(keys) for queue, keys in after.items()} == {queue: set(keys) for queue, keys in before.items()}
    assert after[JOBS]["late"].data == {"key": "late", "é": "☃"}
    assert abs(after[JOBS]["late"].due - before[JOBS]["late"].due) < LATER / 10
    with redis.Redis.from_url(url) as client:
        assert client.get("theirs") == b"stays"
        assert client.llen(f"bull:{JOBS}:active") == 0, "nobody holds what the worker that is no more held"
        assert not list(client.scan_iter(f"bull:{JOBS}:*:lock"))
    producer = Producer(Broker.redis(url), CHORES)
    assert (await producer.schedules())["sweep"][0] == LATER
    await producer.close()


async def test_a_store_that_fails_is_a_gap_and_costs_nobody_else_anything(url: str, tmp_path: Path):
    class Shelf(RedisStore):
        async def save(self, into: Path) -> Mapping[str, int]:
            (into / "half").write_text("half")
            raise OSError("no shelf")

    def broken() -> RedisStore:
        raise ImportError("no such module")

    await fill(url, 1)
    said: list[str] = []
    offered = {"shelf": lambda: Shelf(url), "broken": broken, "redis": lambda: RedisStore(url), "none": lambda: None}
    kept, gaps = await save_stores(offered, tmp_path, said.append)
    assert kept["redis"].counted == {"entries": 3, "schedules": 1}
    assert set(kept["redis"].files) == {KEPT}
    assert gaps == {"shelf": "OSError: no shelf", "broken": "ImportError: no such module"}
    assert [path.name for path in tmp_path.iterdir()] == ["redis"]
    assert sum("WARNING" in line for line in said) == 2


async def test_a_redis_that_is_away_is_said_to_be(server: RedisServer, tmp_path: Path):
    away = RedisStore("redis://127.0.0.1:9/0")
    for call in (away.save(tmp_path), away.is_used(), away.clear(), away.lay(tmp_path)):
        with pytest.raises(UnavailableError) as caught:
            await call
        assert caught.value.code == "redis_unavailable"
    with pytest.raises(InvalidInputError):
        RedisStore("http://x")


def test_only_a_configured_redis_is_in_a_backup(server: RedisServer, monkeypatch: pytest.MonkeyPatch):
    assert installed_stores()["redis"] is not None
    monkeypatch.delenv("AICD_REDIS_URL", raising=False)
    assert open_redis() is None
    monkeypatch.setenv("AICD_REDIS_URL", server.url)
    assert isinstance(installed_stores()["redis"](), RedisStore)


@pytest.mark.parametrize(
    "found", [{}, {"a": Dump(sha256="00", size=1)}, {"a": Dump(sha256="1f", size=1), "b": Dump(sha256="1f", size=1)}]
)
def test_a_store_that_is_not_what_the_manifest_says_is_refused(found: dict[str, Dump]):
    kept = Kept(counted={}, files={"a": Dump(sha256="1f", size=1)})
    check_store("redis", kept, kept.files)
    with pytest.raises(UnavailableError) as caught:
        check_store("redis", kept, found)
    assert caught.value.code == "backup_damaged"


def test_each_store_tells_when_it_was_last_in_a_backup(tmp_path: Path):
    (tmp_path / "backup").mkdir()
    Record(7.0, 1.0, 2, stores={"redis": 7.0, "shelf": 0.0}).write(tmp_path)
    samples = [one for family in BackupFigures(tmp_path).collect() for one in family.samples]
    told = {one.labels["store"]: one.value for one in samples if "store" in one.labels}
    assert told == {"redis": 7.0, "shelf": 0.0}
    (tmp_path / "backup/record.json").write_text(json.dumps({"last_success": 1.0, "duration": 1.0, "size": 1}))
    assert Record.read(tmp_path) == Record(1.0, 1.0, 1), "one of a version before has none"
