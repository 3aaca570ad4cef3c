"""A worker whose Postgres goes away at any point of its start or right after: it waits, goes on, and stops when told.

Between the worker and Postgres stands a socket that closes every connection after so many answers, one more each time.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from struct import pack

import pytest
from sqlalchemy.engine import make_url

from aicd_cli import serving
from aicd_cli.commands.worker import serve
from aicd_core.orchestrator import WorkerOptions
from aicd_core.settings import Settings
from aicd_core.testing.databases import TestUrls

NAME = ".s.PGSQL.5432"
MANY = 10_000
REFUSED = 2
"""Connections that are refused after each time."""
LAST_WORDS = {
    "57P01": b"terminating connection due to administrator command",
    "57P03": b"the database system is shutting down",
}


def fatal(code: str) -> bytes:
    """What Postgres says last; https://www.postgresql.org/docs/current/protocol-error-fields.html"""
    if code == "nothing":
        return b""
    said = b"SFATAL\0VFATAL\0C" + code.encode() + b"\0M" + LAST_WORDS[code] + b"\0\0"
    return b"E" + pack("!i", len(said) + 4) + said


@dataclass
class Between:
    """Passes answers on and counts them; at `most` it says `code`, closes everything, and lets one more pass then.

    `cuts` says how often that was. Nobody is let in while `closed`, nor the next few after a cut.
    """

    server: str
    code: str
    most: int = 0
    passed: int = 0
    cuts: int = 0
    closed: bool = False
    refused: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.closed or self.refused:
            self.refused = max(0, self.refused - 1)
            writer.write(fatal("57P03"))
            writer.close()
            return
        self._writers.add(writer)
        theirs, ours = await asyncio.open_unix_connection(self.server)
        try:
            await asyncio.gather(self._pass(reader, ours), self._pass(theirs, writer, counted=True))
        finally:
            self._writers.discard(writer)
            for one in (writer, ours):
                one.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool = False) -> None:
        try:
            while data := await reader.read(65536):
                if counted:
                    if self.passed >= self.most:
                        self.cut()
                        return
                    self.passed += 1
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    def cut(self) -> None:
        """Closes every connection."""
        self.cuts, self.most, self.passed, self.refused = self.cuts + 1, self.most + 1, 0, REFUSED
        for writer in list(self._writers):
            writer.write(fatal(self.code))
            writer.close()


@dataclass
class Stand:
    """A worker of this process, its log, and what is between it and Postgres."""

    settings: Settings
    between: Between
    caplog: pytest.LogCaptureFixture
    task: asyncio.Task[None]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Looks again and again; fails when the worker ends before."""
        async with asyncio.timeout(90):
            while not condition():
                if self.task.done():
                    self.task.result()
                    raise AssertionError("the worker ended")
                await asyncio.sleep(0.01)

    def said(self, words: str) -> bool:
        return any(words in record.getMessage() for record in self.caplog.records)

    async def stop(self) -> None:
        """As `kill` does; the worker then ends without an error."""
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(60):
            await self.task


@pytest.fixture(autouse=True)
def own_signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker leaves the stop signals ignored, since its process ends; and tries again at once here."""
    monkeypatch.setattr(serving, "RETRY_SECONDS", 0.01)
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@asynccontextmanager
async def standing(root: Path, urls: TestUrls, code: str, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Stand]:
    """A worker that is starting."""
    between = Between(str(Path(str(make_url(urls.app).query["host"])) / NAME), code)
    place = root / "sockets"
    place.mkdir()
    app, system = (
        make_url(url).update_query_dict({"host": str(place)}).render_as_string(hide_password=False)
        for url in (urls.app, urls.system)
    )
    settings = Settings(data_dir=root / "data", database_url=app, system_database_url=system)
    async with await asyncio.start_unix_server(between.serve, place / NAME):
        task = asyncio.create_task(serve(settings, WorkerOptions(drain_timeout=5), 2))
        try:
            yield Stand(settings, between, caplog, task)
        finally:
            task.cancel()
            await asyncio.wait({task})


@pytest.mark.parametrize("code", ["nothing", "57P01"])
async def test_a_worker_whose_postgres_goes_away_at_any_point_of_its_start_goes_on(
    tmp_path: Path, database_urls: TestUrls, code: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    async with standing(tmp_path, database_urls, code, caplog) as stand:
        await stand.until(lambda: stand.said("ready for 2 job(s)"))
        tried = stand.between.cuts
        await stand.until(lambda: stand.between.cuts >= tried + 5)  # what it does first as a worker
        assert tried > 10
        stand.between.most = MANY
        await stand.stop()
    assert not stand.said("defect")


async def test_a_worker_that_waits_for_its_postgres_stops_when_told(
    tmp_path: Path, database_urls: TestUrls, caplog: pytest.LogCaptureFixture
):
    async with standing(tmp_path, database_urls, "57P03", caplog) as stand:
        stand.between.closed = True
        await stand.until(lambda: stand.said("waiting: Postgres did not answer"))
        await stand.stop()


async def test_a_worker_that_lost_its_postgres_stops_when_told(
    tmp_path: Path, database_urls: TestUrls, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    async with standing(tmp_path, database_urls, "57P01", caplog) as stand:
        stand.between.most = MANY
        await stand.until(lambda: stand.said("ready for 2 job(s)"))
        stand.between.closed = True
        stand.between.cut()
        await stand.until(lambda: stand.said("no notices for now"))
        await stand.stop()
