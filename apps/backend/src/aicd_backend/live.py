"""What happens to jobs, as it happens: any number of readers, one connection that listens, few that read."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.errors import UnavailableError
from aicd_core.ids import JobId
from aicd_core.jobs import repository as jobs
from aicd_core.jobs.machine import TERMINAL
from aicd_core.jobs.values import EventView
from aicd_core.orchestrator.notices import watch_jobs
from aicd_core.tenancy import Tenant

READS = 3
"""Reads at once, whatever the number of readers: the other requests need connections, too."""
RETRY_SECONDS = 1.0
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Topic:
    """The history of one job as far as it was read, for all its readers.

    `heard` counts what may have happened, `read` says up to which count the history is read.
    """

    tenant: Tenant
    job_id: JobId
    events: list[EventView] = field(default_factory=list)
    heard: int = 1
    read: int = 0
    readers: int = 0
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def knows(self, version: int) -> bool:
        """Whether the history was read up to this version of the job."""
        return bool(self.events) and version <= self.events[-1].version

    def hear(self) -> None:
        """Something may have happened: whoever waits looks again."""
        self.heard += 1
        self.changed.set()
        self.changed = asyncio.Event()


class Seats:
    """How many streams each credential has open in this process."""

    def __init__(self) -> None:
        self._taken: Counter[UUID] = Counter()

    def taken(self) -> int:
        """How many are open, of all credentials."""
        return self._taken.total()

    @contextmanager
    def take(self, credential: UUID, most: int) -> Iterator[bool]:
        """One more while the block runs; False, and none, when it has as many as that already."""
        if self._taken[credential] >= most:
            yield False
            return
        self._taken[credential] += 1
        try:
            yield True
        finally:
            self._taken[credential] -= 1
            if not self._taken[credential]:
                del self._taken[credential]


class Feed:
    """Events of jobs, each once and in order, across lost connections.

    Args:
        system: hears of every job of every organization; what is read is read as the reader's own organization.
    """

    def __init__(self, database: Database, system: SystemDatabase) -> None:
        self._database = database
        self._system = system
        self._topics: dict[JobId, _Topic] = {}
        self._reads = asyncio.Semaphore(READS)
        self._any = asyncio.Event()
        self._stopped = False
        self.seats = Seats()

    async def run(self) -> None:
        """Listens until cancelled."""
        await watch_jobs(self._system, self._heard, self._listening)

    def stop(self) -> None:
        """Ends all readers, now and to come: the process shuts down."""
        self._stopped = True
        self._listening()

    async def follow(
        self, tenant: Tenant, job_id: JobId, since: int, pause: float
    ) -> AsyncGenerator[EventView | None, None]:
        """A job's events after a version of it (-1: all), as they come; ends with the job, or when the process does.

        Args:
            pause: seconds without an event after which the reader is let look up.

        Yields:
            an event; None when nothing is left to tell for the moment and the reader may look up.
        """
        with self._reading(tenant, job_id) as topic:
            while not self._stopped:
                changed, heard = topic.changed, topic.heard
                if topic.read < heard:
                    await self._catch_up(topic)
                for event in [event for event in topic.events if event.version > since]:
                    since = event.version
                    yield event
                if topic.events and topic.events[-1].state in TERMINAL:
                    return
                yield None
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), pause)

    async def heard(self, pause: float) -> AsyncGenerator[None, None]:
        """Yields whenever something may have happened to some job of somebody's; ends when the process does.

        Args:
            pause: seconds after which it yields in any case.
        """
        while not self._stopped:
            changed = self._any
            yield
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), pause)

    @contextmanager
    def _reading(self, tenant: Tenant, job_id: JobId) -> Iterator[_Topic]:
        topic = self._topics.setdefault(job_id, _Topic(tenant, job_id))
        assert topic.tenant == tenant, "a job's id is asked for by its own organization only"
        topic.readers += 1
        try:
            yield topic
        finally:
            topic.readers -= 1
            if not topic.readers:
                del self._topics[job_id]

    async def _catch_up(self, topic: _Topic) -> None:
        """Reads what the topic does not know yet, once for all that wait; a database that is away is waited for."""
        async with topic.reading:
            while topic.read < topic.heard and not self._stopped:
                heard, since = topic.heard, topic.events[-1].version if topic.events else -1
                try:
                    async with self._reads, self._database.read(topic.tenant) as session:
                        found = await jobs.list_events(session, topic.tenant, topic.job_id, since)
                except UnavailableError as error:
                    _log.warning("events cannot be read for now: %s", error)
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                topic.events.extend(found)
                topic.read = heard

    def _heard(self, job_id: JobId, version: int) -> None:
        self._wake_all()
        topic = self._topics.get(job_id)
        if topic is not None and not topic.knows(version):  # else it is its log that grew
            topic.hear()

    def _listening(self) -> None:
        """Whatever happened while nobody listened was missed: everybody looks again."""
        self._wake_all()
        for topic in self._topics.values():
            topic.hear()

    def _wake_all(self) -> None:
        self._any.set()
        self._any = asyncio.Event()
