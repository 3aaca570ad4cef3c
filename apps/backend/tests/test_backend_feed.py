"""The feed behind the streams: one connection that listens, one read for all readers of a job, few reads at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from aicd_backend import live
from aicd_backend.live import READS, Feed
from aicd_backend.testing.job_recipes import make_job, move
from aicd_backend.testing.world import World
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.machine import JobEvent
from aicd_core.jobs.values import EventView
from aicd_core.orchestrator.lease import end
from aicd_core.testing.databases import TestUrls

NEVER = 3_600.0
"""Seconds: nobody looks up by himself while a test runs."""
PATIENCE = 60.0
CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'
"""


@dataclass
class Reader:
    """What one reader of a job has seen; `still` whenever nothing is left for the moment."""

    seen: list[int] = field(default_factory=list)
    still: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, feed: Feed, world: World, job_id: JobId) -> None:
        async with aclosing(feed.follow(world.us.tenant, job_id, -1, NEVER)) as events:
            async for event in events:
                if event is None:
                    self.still.set()
                else:
                    self.seen.append(event.version)


@dataclass
class Reads:
    """Counts what the feed reads, and lets it begin while `gate` is open."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    all: int = 0
    now: int = 0
    most: int = 0

    async def list_events(self, *arguments: Any) -> Sequence[EventView]:
        self.all += 1
        self.now += 1
        self.most = max(self.most, self.now)
        if self.most >= READS:
            self.enough.set()
        try:
            await self.gate.wait()
            return await jobs.list_events(*arguments)
        finally:
            self.now -= 1


class _Counted:
    """The jobs' repository as the feed sees it."""

    def __init__(self, reads: Reads) -> None:
        self.list_events = reads.list_events


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    counted = Reads()
    monkeypatch.setattr(live, "jobs", _Counted(counted))
    return counted


@pytest.fixture
async def feed(world: World) -> AsyncIterator[Feed]:
    """A feed that does not listen yet."""
    made = Feed(world.stores.database, world.stores.system)
    yield made
    made.stop()


def start(feed: Feed, world: World, readers: Sequence[tuple[Reader, JobId]]) -> asyncio.Future[Any]:
    return asyncio.ensure_future(asyncio.gather(*(reader.read(feed, world, job_id) for reader, job_id in readers)))


async def all_still(readers: Sequence[Reader]) -> None:
    async with asyncio.timeout(PATIENCE):
        for reader in readers:
            await reader.still.wait()


async def test_what_happened_while_nobody_listened_is_told_as_soon_as_somebody_does(world: World, feed: Feed) -> None:
    job_id, reader = await make_job(world, world.us), Reader()
    reading = start(feed, world, [(reader, job_id)])
    await all_still([reader])
    await move(world, world.us, job_id, JobEvent.ADMITTED, JobEvent.CANCELLED)
    assert reader.seen == [0]
    listening = asyncio.ensure_future(feed.run())
    await asyncio.wait_for(reading, PATIENCE)
    assert reader.seen == [0, 1, 2]
    await end(listening)


async def test_a_lost_connection_is_made_again_and_nothing_is_missed(
    world: World, feed: Feed, world_urls: TestUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aicd_core.orchestrator.notices.RECONNECT_SECONDS", 0.05)
    job_id, reader = await make_job(world, world.us), Reader()
    listening = asyncio.ensure_future(feed.run())
    reading = start(feed, world, [(reader, job_id)])
    await all_still([reader])
    for event in (JobEvent.ADMITTED, JobEvent.PLAN_READY, JobEvent.CODED, JobEvent.CANCELLED):
        with psycopg.connect(world_urls.admin, autocommit=True) as admin:
            admin.execute(CUT)
        await move(world, world.us, job_id, event)
    await asyncio.wait_for(reading, PATIENCE)
    assert reader.seen == [0, 1, 2, 3, 4]
    await end(listening)


async def test_all_readers_of_a_job_share_one_read(world: World, feed: Feed, reads: Reads) -> None:
    reads.gate.set()
    job_id, readers = await make_job(world, world.us), [Reader() for _ in range(20)]
    listening = asyncio.ensure_future(feed.run())
    reading = start(feed, world, [(reader, job_id) for reader in readers])
    await all_still(readers)
    before = reads.all
    assert before <= 2  # the second one when it began to listen
    await move(world, world.us, job_id, JobEvent.CANCELLED)
    await asyncio.wait_for(reading, PATIENCE)
    assert [reader.seen for reader in readers] == [[0, 1]] * 20
    assert reads.all <= before + 2
    await end(listening)


async def test_few_jobs_are_read_at_once(world: World, feed: Feed, reads: Reads) -> None:
    job_ids = [await make_job(world, world.us) for _ in range(4 * READS)]
    readers = [Reader() for _ in job_ids]
    reading = start(feed, world, list(zip(readers, job_ids, strict=True)))
    await asyncio.wait_for(reads.enough.wait(), PATIENCE)
    async with world.stores.database.read(world.us.tenant) as session:  # there is a connection left for others
        assert await jobs.get_job(session, world.us.tenant, job_ids[0])
    reads.gate.set()
    await all_still(readers)
    assert [reader.seen for reader in readers] == [[0]] * len(readers)
    assert reads.most == READS
    feed.stop()
    await asyncio.wait_for(reading, PATIENCE)


async def test_a_job_without_readers_is_forgotten(world: World, feed: Feed) -> None:
    job_id, reader = await make_job(world, world.us), Reader()
    reading = start(feed, world, [(reader, job_id)])
    await all_still([reader])
    assert list(feed._topics) == [job_id]
    reading.cancel()
    await asyncio.wait({reading})
    assert not feed._topics


async def test_readers_end_at_once_when_the_process_stops_and_later_ones_do_not_begin(world: World, feed: Feed) -> None:
    job_id, reader, late = await make_job(world, world.us), Reader(), Reader()
    reading = start(feed, world, [(reader, job_id)])
    await all_still([reader])
    feed.stop()
    await asyncio.wait_for(reading, PATIENCE)
    await asyncio.wait_for(late.read(feed, world, job_id), PATIENCE)
    assert (reader.seen, late.seen) == ([0], [])
