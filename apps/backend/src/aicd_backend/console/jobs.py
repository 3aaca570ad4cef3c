"""The list of jobs, as it changes, and the form for a new one."""

import asyncio
from collections.abc import AsyncIterable
from contextlib import aclosing
from datetime import datetime
from typing import TypeVar
from urllib.parse import urlencode
from uuid import UUID

from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.access import needs
from aicd_backend.callers import Here, TenantCaller
from aicd_backend.console.forms import Form, Posted, body_of
from aicd_backend.console.pages import at, form_page, go, page, refused
from aicd_backend.console.routing import console_router, sees
from aicd_backend.problems import Problem, RefusedError
from aicd_backend.routes.job_events import CHECK_SECONDS, Goodness
from aicd_backend.routes.jobs import NewJobBody, create_job, list_jobs
from aicd_backend.routes.repositories import RepositoryAnswer, list_repositories
from aicd_core.db.pages import MAX_PAGE, PageRequest
from aicd_core.errors import AicdError, InvalidInputError
from aicd_core.ids import RepositoryId
from aicd_core.jobs.lists.repository import find_jobs
from aicd_core.jobs.lists.values import JobFilter, JobOrder
from aicd_core.jobs.machine import OPEN, TERMINAL, JobState
from aicd_core.tenancy.permissions import Permission

KindT = TypeVar("KindT", JobState, JobOrder)
router = console_router()
JOBS = "/console/{org}/jobs"
SHOWN = 25
PAUSE = 0.7
"""Seconds between two looks of a list at whether it has changed: a job changes several times in a second."""
GROUPS: dict[str, tuple[str, frozenset[JobState]]] = {
    "open": ("Open", OPEN),
    "you": ("Waits for you", frozenset({JobState.AWAITING_APPROVAL, JobState.PAUSED})),
    "ended": ("Ended", TERMINAL),
}
"""States that are asked for together."""
ORDERS = {
    JobOrder.NEWEST: "Newest first",
    JobOrder.OLDEST: "Oldest first",
    JobOrder.LAST_CHANGED: "Last changed first",
    JobOrder.LONGEST_SINCE_CHANGED: "Longest unchanged first",
}


@router.get(JOBS, **sees(Permission.JOBS_READ))
async def show_jobs(request: Request, here: Here, cursor: str | None = None) -> Response:
    asked = {name: request.query_params.get(name, "").strip() for name in ("q", "state", "repository", "agent", "sort")}
    found = await list_jobs(here, PageRequest(SHOWN, cursor), _filter(asked))
    places = await repositories_of(here)
    kept = {name: text for name, text in asked.items() if text}
    older = urlencode({**kept, "cursor": found.next_cursor}) if found.next_cursor else None
    return page(
        request,
        "jobs.html",
        jobs=found.items,
        older=older,
        first=urlencode(kept) if cursor else None,
        asked=asked,
        filtered=bool(kept.keys() - {"sort"}),
        repositories=places,
        names={place.id: place.source for place in places},
        groups=GROUPS,
        orders=ORDERS,
    )


@router.get(f"{JOBS}/changes", response_class=EventSourceResponse, **needs(Permission.JOBS_READ))
async def stream_changes(request: Request, here: Here) -> AsyncIterable[ServerSentEvent]:
    """An event whenever a job of the organization was made or has changed; it carries nothing but that.

    The first comes at once: what happened between the page and its stream is not to be missed.
    """
    good = Goodness(request)
    last: tuple[UUID, datetime] | tuple[()] | None = ()
    async with aclosing(here.stores.feed.heard(CHECK_SECONDS)) as notices:
        async for _ in notices:
            if not await good.still():
                return
            now = await _newest(here)
            if now != last:
                last = now
                yield ServerSentEvent(event="jobs", data="changed")
                await asyncio.sleep(PAUSE)


@router.get(f"{JOBS}/new", **sees(Permission.JOBS_CREATE))
async def show_new_job(request: Request, here: Here) -> Response:
    return await _form(request, here, Form({"repository": [request.query_params.get("repository", "")]}))


@router.post(f"{JOBS}/new", **sees(Permission.JOBS_CREATE))
async def make_job(request: Request, here: Here, form: Posted) -> Response:
    try:
        made = await create_job(here, _wanted(form), Response())
    except (AicdError, RefusedError) as error:
        return await _form(request, here, form, refused(request, error))
    return go(at(here, "jobs", made.id), "created")


async def repositories_of(here: TenantCaller) -> tuple[RepositoryAnswer, ...]:
    """The newest repositories, for lists to choose from; none for who may not see them."""
    if Permission.REPOSITORIES_READ not in here.powers:
        return ()
    return (await list_repositories(here, PageRequest(MAX_PAGE))).items


def _filter(asked: dict[str, str]) -> JobFilter:
    states: tuple[JobState, ...] = ()
    if asked["state"] in GROUPS:
        states = tuple(sorted(GROUPS[asked["state"]][1]))
    elif asked["state"]:
        states = (_known(JobState, asked["state"]),)
    text, number = asked["q"], None
    if text.startswith("#") and text[1:].isascii() and text[1:].isdigit() and len(text) < 10:
        text, number = "", int(text[1:])
    return JobFilter(
        states=states,
        repository_id=_repository(asked["repository"]),
        agents=(asked["agent"],) if asked["agent"] else (),
        issue_number=number,
        words=text or None,
        order=_known(JobOrder, asked["sort"] or JobOrder.NEWEST.value),
    )


def _known(kind: type[KindT], text: str) -> KindT:
    try:
        return kind(text)
    except ValueError:
        raise InvalidInputError(f"There is no {text[:50]!r} to filter or sort by. Choose one of the list.") from None


def _repository(text: str) -> RepositoryId | None:
    try:
        return RepositoryId(UUID(text)) if text else None
    except ValueError:
        raise InvalidInputError("There is no such repository. Choose one of the list.") from None


async def _newest(here: TenantCaller) -> tuple[UUID, datetime] | None:
    """What changed last."""
    async with here.read() as session:
        last = JobFilter(order=JobOrder.LAST_CHANGED)
        found = await find_jobs(session, here.tenant, PageRequest(1), last)
    return (found.items[0].id, found.items[0].updated_at) if found.items else None


def _wanted(form: Form) -> NewJobBody:
    number = form.number("issue_number", "The issue's number")
    minutes = form.number("minutes", "The time limit")
    try:
        priority = int(form.text("priority") or "0")
    except ValueError as error:
        raise InvalidInputError("The priority is a whole number from -100 to 100.") from error
    return body_of(
        NewJobBody,
        repository_id=form.text("repository"),
        issue=form.text("issue") or None,
        issue_number=number,
        base_branch=form.text("base_branch") or None,
        agent=form.text("agent") or None,
        priority=priority,
        time_limit_seconds=None if minutes is None else float(minutes * 60),
        cost_limit_micro_usd=form.money("cost_limit", "The cost limit"),
        asks_approval=form.ticked("asks_approval"),
    )


async def _form(request: Request, here: TenantCaller, form: Form, fault: Problem | None = None) -> Response:
    places = [place for place in await repositories_of(here) if place.enabled]
    return form_page(request, "new_job.html", fault, repositories=places, form=form)
