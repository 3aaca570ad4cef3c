"""Streams of events: many at once, each event once and in order, also across a restart of the database."""

import asyncio
import json
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import uvicorn

from aicd_backend.ending import EndsStreamsWithin
from aicd_backend.testing.job_recipes import make_job, move
from aicd_backend.testing.world import Headers, OpenWorld, World, enter_world, make_organizations, settings_under_test
from aicd_cli.http import listening
from aicd_core.db.embedded import EmbeddedPostgres
from aicd_core.errors import UnavailableError
from aicd_core.ids import JobId
from aicd_core.jobs.machine import JobEvent
from aicd_core.migrations import migrate
from aicd_core.orchestrator.lease import end
from aicd_core.testing.databases import TestUrls, opened

STREAMS = 1_000
JOBS = 50
FILES = 3 * STREAMS
"""Both ends of every connection are this process's."""
BEFORE = (JobEvent.ADMITTED, JobEvent.PLAN_READY)
AFTER = (JobEvent.CODED, JobEvent.REJECTED, JobEvent.CODED, JobEvent.PUBLISHED, JobEvent.MERGED)
PATIENCE = 240.0


@dataclass
class Reader:
    """A client of one stream, over a plain socket."""

    port: int
    path: str
    headers: Headers
    seen: list[int] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    status: str = ""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> None:
        """Reads to the end of the stream; asks again of a server that has no room just now, as browsers do."""
        while not await self._read():
            await asyncio.sleep(0.5)

    async def _read(self) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        sent = {"Host": "127.0.0.1", "Connection": "close", **self.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        writer.write(f"GET {self.path} HTTP/1.1\r\n{lines}\r\n".encode())
        try:
            self.status = (await reader.readline()).decode().split()[1]
            while line := await reader.readline():
                if line.startswith(b"id: "):
                    self.seen.append(int(line[4:]))
                    self.arrived.set()
                elif line.startswith(b"data: "):
                    self.states.append(json.loads(line[6:])["state"])
        finally:
            writer.close()
        return self.status != "503"


@asynccontextmanager
async def serving(world: World) -> AsyncIterator[int]:
    """The server on a port of its own; told to stop at the end."""
    with listening("127.0.0.1", 0) as listener:
        options = uvicorn.Config(world.app, log_config=None, timeout_graceful_shutdown=5)
        server = EndsStreamsWithin(options, world.stores.feed)
        running = asyncio.ensure_future(server.serve([listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await asyncio.wait_for(running, PATIENCE)


@asynccontextmanager
async def one_reader(world: World) -> AsyncIterator[tuple[JobId, asyncio.Future[None]]]:
    """A job whose first event was read, and its stream; once the server has stopped that has ended, with no other."""
    job_id = await make_job(world, world.us)
    async with serving(world) as port:
        reader = Reader(port, stream_of(job_id), await world.as_key())
        stream = asyncio.ensure_future(reader.read())
        await asyncio.wait_for(reader.arrived.wait(), PATIENCE)
        yield job_id, stream
    await asyncio.wait_for(stream, PATIENCE)
    assert reader.seen == [0]


def stream_of(job_id: JobId) -> str:
    return f"/v1/organizations/acme/jobs/{job_id}/stream"


async def in_the_end(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.05)


async def though_it_is_away(act: Callable[[], Awaitable[object]]) -> None:
    """Does what the database may be away for."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await act()
            except UnavailableError:
                await asyncio.sleep(0.2)
            else:
                return


@pytest.fixture
def many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES:
        assert hard >= FILES or hard == resource.RLIM_INFINITY, f"the limit on open files is {hard}"
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    postgres = EmbeddedPostgres(tmp_path / "postgres", durable=False)
    await migrate(await asyncio.to_thread(postgres.start))
    yield postgres
    await asyncio.to_thread(postgres.stop)


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("many_files")
async def test_a_thousand_streams_see_every_event_once_and_in_order_across_a_restart(server: EmbeddedPostgres) -> None:
    urls = TestUrls(server.url(), server.url("aicd_app"), server.url("aicd_system"))
    settings = settings_under_test().model_copy(
        update={
            "rate_limit_address": 10 * STREAMS,
            "rate_limit_credential": 10 * STREAMS,
            "streams_per_credential": STREAMS,
            "request_timeout": PATIENCE,
        }
    )
    async with (
        opened(urls) as (database, system),
        enter_world(database, system, *await make_organizations(database, system), settings) as world,
        serving(world) as port,
    ):
        key = await world.as_key()
        job_ids = [await make_job(world, world.us) for _ in range(JOBS)]
        readers = [Reader(port, stream_of(job_ids[n % JOBS]), key) for n in range(STREAMS)]
        reading = [asyncio.ensure_future(reader.read()) for reader in readers]
        try:
            await in_the_end(lambda: all(reader.seen for reader in readers))
            await _have_happen(world, job_ids, BEFORE)
            await in_the_end(lambda: all(reader.seen[-1] == len(BEFORE) for reader in readers))
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            await _have_happen(world, job_ids, AFTER)
            await asyncio.wait_for(asyncio.gather(*reading), PATIENCE)
        finally:
            await asyncio.gather(*map(end, reading))
    everything = list(range(1 + len(BEFORE) + len(AFTER)))
    assert {reader.status for reader in readers} == {"200"}
    assert [reader.seen for reader in readers] == [everything] * STREAMS
    assert {reader.states[-1] for reader in readers} == {"merged"}


async def _have_happen(world: World, job_ids: Sequence[JobId], events: Sequence[JobEvent]) -> None:
    for event in events:
        for job_id in job_ids:
            await though_it_is_away(lambda job_id=job_id, event=event: move(world, world.us, job_id, event))  # type: ignore[misc]


async def test_a_stream_goes_on_where_its_reader_left(world: World) -> None:
    job_id = await make_job(world, world.us)
    await move(world, world.us, job_id, *BEFORE, JobEvent.CANCELLED)
    key = await world.as_key()
    for since, rest in (("-1", [0, 1, 2, 3]), ("1", [2, 3])):
        answer = await world.client.get(stream_of(job_id), headers={**key, "Last-Event-ID": since})
        ids = [int(line[4:]) for line in answer.text.splitlines() if line.startswith("id: ")]
        assert (answer.headers["content-type"].split(";")[0], ids) == ("text/event-stream", rest)
    done = await world.client.get(stream_of(job_id), headers={**key, "Last-Event-ID": "3"})
    assert (done.status_code, done.content) == (204, b"")


@pytest.mark.parametrize(("seconds", "happens"), [(0.0, True), (0.2, False)])
async def test_a_stream_ends_with_its_readers_key(
    seconds: float, happens: bool, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is let in no more is told nothing more, and also where nothing happens he does not stay."""
    monkeypatch.setattr("aicd_backend.routes.job_events.CHECK_SECONDS", seconds)
    async with one_reader(world) as (job_id, stream):
        await world.revoke_all_keys()
        if happens:
            await move(world, world.us, job_id, JobEvent.ADMITTED)
        await asyncio.wait_for(stream, PATIENCE)


async def test_a_server_that_stops_ends_its_streams(world: World) -> None:
    async with one_reader(world) as (_, stream):
        assert not stream.done()


async def test_a_credential_has_so_many_streams_at_once_and_no_more(world_with: OpenWorld) -> None:
    settings = settings_under_test().model_copy(update={"streams_per_credential": 2})
    async with world_with(settings) as world:
        job_id = await make_job(world, world.us)
        key, other = await world.as_key(), await world.as_key()
        async with serving(world) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            readers = [Reader(port, stream_of(job_id), key) for _ in range(2)]
            tasks = [asyncio.ensure_future(reader.read()) for reader in readers]
            await in_the_end(lambda: all(reader.seen for reader in readers))
            refused = await client.get(stream_of(job_id), headers=key)
            assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
            assert "2 event streams" in refused.json()["detail"]
            assert int(refused.headers["Retry-After"]) > 0
            readers.append(Reader(port, stream_of(job_id), other))
            tasks.append(asyncio.ensure_future(readers[-1].read()))
            await in_the_end(lambda: bool(readers[-1].seen))
            await end(tasks[0])  # the place of whoever goes is free again
            await in_the_end(lambda: world.stores.feed.seats.taken() == 2)
            readers.append(Reader(port, stream_of(job_id), key))
            tasks.append(asyncio.ensure_future(readers[-1].read()))
            await in_the_end(lambda: bool(readers[-1].seen))
            await move(world, world.us, job_id, JobEvent.CANCELLED)
            await asyncio.wait_for(asyncio.gather(*tasks[1:]), PATIENCE)
            assert (await client.get(stream_of(job_id), headers={**key, "Last-Event-ID": "1"})).status_code == 204
        assert world.stores.feed.seats.taken() == 0
