"""Repositories: connected, switched on and off, given a budget."""

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.callers import Here, TenantCaller
from aicd_backend.console.forms import Posted, body_of
from aicd_backend.console.pages import at, form_page, go, page, refused
from aicd_backend.console.routing import console_router, sees
from aicd_backend.etags import revision_of
from aicd_backend.problems import Problem, RefusedError
from aicd_backend.routes.repositories import (
    NewRepositoryBody,
    RepositoryEdit,
    connect_repository,
    disconnect_repository,
    edit_repository,
    get_installations,
    get_repository,
    list_repositories,
    reconnect_repository,
)
from aicd_core.db.pages import MAX_PAGE, PageRequest
from aicd_core.errors import AicdError
from aicd_core.tenancy.permissions import Permission

router = console_router()
REPOSITORIES = "/console/{org}/repositories"
SHOWN = 50


@router.get(REPOSITORIES, **sees(Permission.REPOSITORIES_READ))
async def show_repositories(
    request: Request, here: Here, cursor: str | None = None, disconnected: bool = False
) -> Response:
    return await _list(request, here, cursor, disconnected=disconnected)


@router.post(REPOSITORIES, **sees(Permission.REPOSITORIES_EDIT))
async def connect(request: Request, here: Here, form: Posted) -> Response:
    source = form.text("source")
    try:
        installation = form.text("installation_id") or None
        await connect_repository(here, body_of(NewRepositoryBody, source=source, installation_id=installation))
    except (AicdError, RefusedError) as error:
        return await _list(request, here, None, fault=refused(request, error), typed=source)
    return go(at(here, "repositories"), "connected")


@router.get(f"{REPOSITORIES}/{{repository_id}}", **sees(Permission.REPOSITORIES_READ))
async def show_repository(request: Request, here: Here, repository_id: UUID) -> Response:
    tagged = Response()
    found = await get_repository(here, repository_id, tagged)
    return page(request, "repository.html", repository=found, revision=revision_of(tagged))


@router.post(f"{REPOSITORIES}/{{repository_id}}", **sees(Permission.REPOSITORIES_EDIT))
async def edit(here: Here, repository_id: UUID, form: Posted) -> Response:
    known = await get_repository(here, repository_id, Response())
    wanted = body_of(
        RepositoryEdit,
        enabled=form.ticked("enabled"),
        installation_id=known.installation_id,
        issue_budget_micro_usd=form.money("issue_budget", "The budget of an issue"),
        monthly_budget_micro_usd=form.money("monthly_budget", "The budget of a month"),
    )
    await edit_repository(here, repository_id, form.revision(), wanted, Response())
    return go(at(here, "repositories", repository_id), "saved")


@router.post(f"{REPOSITORIES}/{{repository_id}}/disconnect", **sees(Permission.REPOSITORIES_EDIT))
async def disconnect(here: Here, repository_id: UUID, form: Posted) -> Response:
    await disconnect_repository(here, repository_id, form.revision(), Response())
    return go(at(here, "repositories", repository_id), "saved")


@router.post(f"{REPOSITORIES}/{{repository_id}}/reconnect", **sees(Permission.REPOSITORIES_EDIT))
async def reconnect(here: Here, repository_id: UUID, form: Posted) -> Response:
    await reconnect_repository(here, repository_id, form.revision(), Response())
    return go(at(here, "repositories", repository_id), "saved")


async def _list(
    request: Request,
    here: TenantCaller,
    cursor: str | None,
    *,
    disconnected: bool = False,
    fault: Problem | None = None,
    typed: str = "",
) -> Response:
    found = await list_repositories(here, PageRequest(SHOWN, cursor), disconnected=disconnected)
    return form_page(
        *(request, "repositories.html", fault),
        repositories=found.items,
        next_cursor=found.next_cursor,
        disconnected=disconnected,
        installations=(await get_installations(here, PageRequest(MAX_PAGE))).items,
        local=here.stores.settings.local_repositories,
        typed=typed,
    )
