"""Stores beside the database are put back from a real repository: whole, where nothing is in the way, or not at all."""

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from aicd_cli.stores import counted, fates_shown, fates_told, put_back_store
from aicd_core.backups.redis_store import RedisStore
from aicd_core.backups.restic import Restic
from aicd_core.backups.restoring import Wanted
from aicd_core.backups.stores import PuttingBack, kept_of, open_store, save_stores
from aicd_core.backups.values import FORMAT, STORES, Dump, Manifest
from aicd_core.errors import AicdError
from aicd_core.queues.adapter import Broker, Producer
from aicd_core.queues.options import JOBS, WAKE
from aicd_core.settings import Settings
from aicd_core.testing.redis import redis_server
from backup_world import PASSWORD
from debian_programs import debian_program

EMPTY = Manifest(
    format=FORMAT,
    product="0",
    installation=UUID(int=1),
    revision="0001",
    taken_at=datetime(2026, 11, 26, tzinfo=UTC),
    postgres="18.4",
    tables={},
    dump=Dump(sha256="", size=0),
)


class Shelf(RedisStore):
    """A store that is worth putting back by itself."""

    comes_by_itself = False


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with redis_server(tmp_path / "redis") as server:
        yield server.url


@pytest.fixture
def back(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PuttingBack:
    """A backup of two stores on one Redis with a wake in it, and its way back."""
    monkeypatch.setenv("PATH", str(Path(debian_program("restic").path).parent), prepend=os.pathsep)
    restic, staging = Restic(str(tmp_path / "vault"), PASSWORD, tmp_path / "cache"), tmp_path / "staging"
    (staging / STORES).mkdir(parents=True)

    async def make() -> PuttingBack:
        await add(url, "kept")
        stores = {"redis": lambda: RedisStore(url), "shelf": lambda: Shelf(url)}
        kept, _ = await save_stores(stores, staging / STORES, str)
        await restic.init()
        done = await restic.store(staging, (STORES,), ("test",), EMPTY.taken_at)
        manifest = EMPTY.model_copy(update={"stores": kept, "gaps": {"lost": "it was away"}})
        await RedisStore(url).clear()
        return PuttingBack(restic, done.id, manifest, tmp_path / "fetched", str)

    return asyncio.run(make())


async def add(url: str, key: str) -> None:
    producer = Producer(Broker.redis(url), JOBS)
    await producer.add(WAKE, {"key": key}, key=key, delay_ms=0)
    await producer.close()


async def keys(url: str) -> set[str]:
    producer = Producer(Broker.redis(url), JOBS)
    found = {one.key async for one in producer.entries()}
    await producer.close()
    return found


def test_what_is_there_is_not_touched_unless_it_is_named(back: PuttingBack, url: str):
    async def go() -> None:
        await back.one("redis", RedisStore(url))
        assert await keys(url) == {"kept"}
        await RedisStore(url).clear()
        await add(url, "newer")
        with pytest.raises(AicdError) as caught:
            await back.one("redis", RedisStore(url))
        assert caught.value.code == "store_not_empty"
        assert await keys(url) == {"newer"}
        await back.one("redis", RedisStore(url), replace=True)
        assert await keys(url) == {"kept"}

    asyncio.run(go())


def test_after_a_whole_restore_each_store_is_accounted_for(back: PuttingBack, url: str):
    stores = {"redis": lambda: RedisStore(url), "shelf": lambda: Shelf(url)}
    fates = asyncio.run(back.all(stores))
    told = fates_told(fates)
    assert told["put_back"] == {"shelf": {"entries": 1, "schedules": 0}}
    assert told["left_out"]["lost"] == "the backup has none: it was away"
    assert f"`aicd restore {back.snapshot} --only redis` puts it back" in told["left_out"]["redis"]
    assert len(list(fates_shown(fates))) == 3
    again = fates_told(asyncio.run(back.all({"shelf": lambda: Shelf(url)})))
    assert "is not empty" in again["left_out"]["shelf"]
    assert "No redis is configured" in again["left_out"]["redis"]
    assert counted({}) == "nothing"


def test_nothing_of_a_damaged_store_is_put_back(back: PuttingBack, url: str):
    kept = back.manifest.stores["redis"]
    forged = kept.model_copy(update={"files": {name: Dump(sha256="00", size=1) for name in kept.files}})
    for damaged in (forged, kept):
        manifest = back.manifest.model_copy(update={"stores": {"redis": damaged}})
        if damaged is kept:
            for pack in Path(back.restic.repository, "data").glob("*/*"):
                pack.chmod(0o600)
                pack.write_bytes(bytes(byte ^ 0xFF for byte in pack.read_bytes()))
        with pytest.raises(AicdError) as caught:
            asyncio.run(replace(back, manifest=manifest).one("redis", RedisStore(url), replace=True))
        assert caught.value.code == "backup_damaged"
    assert not asyncio.run(RedisStore(url).is_used())


def test_half_of_a_store_does_not_stay(back: PuttingBack, url: str):
    class Full(RedisStore):
        async def lay(self, source: Path) -> None:
            await super().lay(source)
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        asyncio.run(back.one("redis", Full(url)))
    assert not asyncio.run(RedisStore(url).is_used())


@pytest.mark.parametrize(("name", "code"), [("lost", "not_in_backup"), ("none", "not_in_backup")])
def test_a_store_that_the_backup_lacks_is_said_to_be(name: str, code: str):
    manifest = EMPTY.model_copy(update={"gaps": {"lost": "it was away"}})
    with pytest.raises(AicdError) as caught:
        kept_of(manifest, name)
    assert caught.value.code == code
    assert ("it was away" in str(caught.value)) == (name == "lost")


def test_a_wrong_name_is_refused_before_anything_is_asked(tmp_path: Path):
    settings, restic = Settings(data_dir=tmp_path), Restic(str(tmp_path), PASSWORD, tmp_path)
    wrong = put_back_store(settings, restic, "redis", Wanted(replace="aicd"), str)
    with pytest.raises(AicdError) as caught:
        asyncio.run(wrong)
    assert caught.value.code == "wrong_name"
    with pytest.raises(AicdError) as caught:
        open_store({"redis": lambda: None}, "redis")
    assert caught.value.code == "no_such_store"


def test_a_backup_of_a_version_before_is_read(tmp_path: Path):
    raw = json.loads(EMPTY.model_dump_json())
    del raw["stores"], raw["gaps"]
    assert Manifest.parse(json.dumps({**raw, "format": 1}).encode(), "0001").stores == {}
