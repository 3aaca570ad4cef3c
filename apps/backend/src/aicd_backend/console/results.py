"""What a job has come to by now, read from the API's own functions; what is not there yet is None."""

from collections.abc import Awaitable
from typing import TypeVar
from uuid import UUID

from aicd_backend.answers import EventAnswer, LineAnswer
from aicd_backend.callers import TenantCaller
from aicd_backend.routes.job_events import list_job_events, list_job_log
from aicd_core.db.pages import MAX_PAGE, PageRequest
from aicd_core.errors import NotFoundError

ResultT = TypeVar("ResultT")
EVENTS_MOST = 500
"""Events of a timeline; a job has some twenty."""

LINES_MOST = 500
"""Lines of a job's log that are read at once."""


async def if_there(result: Awaitable[ResultT]) -> ResultT | None:
    """A result, or None when the job has not got so far."""
    try:
        return await result
    except NotFoundError as error:
        if error.code != "not_there_yet":
            raise
        return None


async def history(here: TenantCaller, job_id: UUID) -> list[EventAnswer]:
    """All that happened, oldest first, up to `EVENTS_MOST`."""
    events: list[EventAnswer] = []
    page = PageRequest(MAX_PAGE)
    while len(events) < EVENTS_MOST:
        found = await list_job_events(here, job_id, page)
        events.extend(found.items)
        if found.next_cursor is None:
            break
        page = PageRequest(MAX_PAGE, found.next_cursor)
    return events


async def log_from(here: TenantCaller, job_id: UUID, cursor: str | None) -> tuple[list[LineAnswer], bool]:
    """The next lines of a job's log, up to `LINES_MOST`, and whether there are more by now."""
    lines: list[LineAnswer] = []
    more = True
    while more and len(lines) < LINES_MOST:
        found = await list_job_log(here, job_id, PageRequest(MAX_PAGE, lines[-1].cursor if lines else cursor))
        lines.extend(found.items)
        more = found.next_cursor is not None
    return lines, more
