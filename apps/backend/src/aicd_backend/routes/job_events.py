"""What happens to a job: its history, and the stream of it."""

import time
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import aclosing
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.requests import Request

from aicd_backend.access import ORG, needs, require, secured_router
from aicd_backend.answers import EventAnswer, LineAnswer
from aicd_backend.callers import Here, TenantCaller, identify
from aicd_backend.paging import PageOf, PageQuery, page_of
from aicd_backend.problems import NothingLeftError, RefusedError
from aicd_backend.routes.jobs import JOB
from aicd_backend.steering import require_job
from aicd_core.errors import AicdError, UnavailableError
from aicd_core.ids import JobId
from aicd_core.jobs.lists.repository import find_events
from aicd_core.jobs.log.repository import list_lines
from aicd_core.jobs.machine import TERMINAL
from aicd_core.jobs.values import JobView
from aicd_core.tenancy.permissions import Permission

router = secured_router("job events")
_READ = needs(Permission.JOBS_READ, refuses=(429,))
CHECK_SECONDS = 30.0
"""So long at most does a stream go on after its reader may no longer see it."""
RETRY_SECONDS = 10
"""When to try again whether a stream has ended."""

LastEventId = Annotated[
    int,
    Header(
        alias="Last-Event-ID", ge=-1, le=2**31 - 1, description="`version` of the last event that was seen; -1: none."
    ),
]


async def _followed(here: Here, job_id: UUID, last_event_id: LastEventId = -1) -> JobView:
    job = await require_job(here, JobId(job_id))
    if job.state in TERMINAL and last_event_id >= job.version:
        raise NothingLeftError
    return job


Followed = Annotated[JobView, Depends(_followed)]
"""The job, found before the answer begins: after that there is no status to say that it is not there."""


async def _seat(here: Here, _job: Followed) -> AsyncIterator[None]:
    """A place among the credential's streams, given back when the answer has ended, however it ends."""
    most = here.stores.settings.streams_per_credential
    with here.stores.feed.seats.take(here.credential_id, most) as taken:
        if not taken:
            raise RefusedError(
                429,
                "too_many_streams",
                f"This API key or login has {most} event streams open here, and may not have more "
                "(AICD_STREAMS_PER_CREDENTIAL). Close one, or read several jobs' events from their lists.",
                {"Retry-After": str(RETRY_SECONDS)},
            )
        yield


@router.get(
    f"{JOB}/events", summary="All that happened to it, oldest first", **needs(Permission.JOBS_READ, refuses=(400,))
)
async def list_job_events(here: Here, job_id: UUID, page: PageQuery) -> PageOf[EventAnswer]:
    await require_job(here, JobId(job_id))
    async with here.read() as session:
        return page_of(await find_events(session, here.tenant, JobId(job_id), page), EventAnswer.of)


@router.get(
    f"{JOB}/log",
    summary="What was said and run on the way, oldest first",
    **needs(Permission.JOBS_READ, refuses=(400,)),
)
async def list_job_log(here: Here, job_id: UUID, page: PageQuery) -> PageOf[LineAnswer]:
    """Each line has a cursor, so that a reader of a job at work asks for what has come since.

    What commands printed is in the tests' logs. Logs of ended jobs are let go of after a time, as journals are.
    """
    await require_job(here, JobId(job_id))
    async with here.read() as session:
        return page_of(await list_lines(session, here.tenant, JobId(job_id), page), LineAnswer.of)


@router.get(
    f"{JOB}/stream",
    summary="The same, as it happens",
    response_class=EventSourceResponse,
    dependencies=[Depends(_seat)],
    **{**_READ, "responses": {**_READ["responses"], 204: {"description": "The job has ended, and all is told."}}},
)
async def stream_job_events(
    request: Request, here: Here, job: Followed, last_event_id: LastEventId = -1
) -> AsyncIterable[ServerSentEvent]:
    """Server-sent events, each an `EventAnswer` with its version as the id; it ends with the job.

    A client that lost the connection goes on with `Last-Event-ID`, as browsers do by themselves, also when the stream
    has ended; 204 tells them that nothing is left. Comments in between keep proxies from closing it.
    """
    good = Goodness(request)
    async with aclosing(here.stores.feed.follow(here.tenant, job.id, last_event_id, CHECK_SECONDS)) as events:
        async for event in events:
            if not await good.still():
                return
            if event is not None:
                yield ServerSentEvent(id=str(event.version), data=EventAnswer.of(event))


class Goodness:
    """Whether whoever opened a stream may still read it, asked again from time to time."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._asked = time.monotonic()

    async def still(self) -> bool:
        if time.monotonic() - self._asked < CHECK_SECONDS:
            return True
        self._asked = time.monotonic()
        try:
            caller = await identify(self._request, self._request.path_params[ORG])
            require(caller, Permission.JOBS_READ)
        except UnavailableError:
            return True  # the database is away, and tells nothing meanwhile
        except (RefusedError, AicdError):
            return False
        return isinstance(caller, TenantCaller)
