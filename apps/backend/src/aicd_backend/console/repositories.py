"""Repositories: connected, switched on and off, given a budget."""

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.callers import Here, TenantCaller
from aicd_backend.console.forms import Form, Posted
from aicd_backend.console.pages import go, page
from aicd_backend.console.routing import console_router, sees
from aicd_backend.problems import RefusedError
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
from aicd_core.errors import AicdError, InvalidInputError
from aicd_core.tenancy.permissions import Permission
from aicd_core.tenancy.repositories.service import SOURCE_MOST

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
        if not 1 <= len(source) <= SOURCE_MOST:
            raise InvalidInputError("Name the repository by its clone URL, such as https://github.com/acme/shop.")
        installation = form.text("installation_id")
        new = NewRepositoryBody(source=source, installation_id=UUID(installation) if installation else None)
        await connect_repository(here, new)
    except RefusedError as error:
        return await _list(request, here, None, fault=error.detail, typed=source, status=error.status)
    except AicdError as error:
        return await _list(request, here, None, fault=error.message, typed=source, status=400)
    return go(_base(here), "connected")


@router.get(f"{REPOSITORIES}/{{repository_id}}", **sees(Permission.REPOSITORIES_READ))
async def show_repository(request: Request, here: Here, repository_id: UUID) -> Response:
    tagged = Response()
    found = await get_repository(here, repository_id, tagged)
    return page(request, "repository.html", repository=found, revision=tagged.headers["ETag"].strip('"'))


@router.post(f"{REPOSITORIES}/{{repository_id}}", **sees(Permission.REPOSITORIES_EDIT))
async def edit(here: Here, repository_id: UUID, form: Posted) -> Response:
    known = await get_repository(here, repository_id, Response())
    wanted = RepositoryEdit(
        enabled=form.ticked("enabled"),
        installation_id=known.installation_id,
        issue_budget_micro_usd=form.money("issue_budget", "The budget of an issue"),
        monthly_budget_micro_usd=form.money("monthly_budget", "The budget of a month"),
    )
    await edit_repository(here, repository_id, revision_of(form), wanted, Response())
    return go(f"{_base(here)}/{repository_id}", "saved")


@router.post(f"{REPOSITORIES}/{{repository_id}}/disconnect", **sees(Permission.REPOSITORIES_EDIT))
async def disconnect(here: Here, repository_id: UUID, form: Posted) -> Response:
    await disconnect_repository(here, repository_id, revision_of(form), Response())
    return go(f"{_base(here)}/{repository_id}", "saved")


@router.post(f"{REPOSITORIES}/{{repository_id}}/reconnect", **sees(Permission.REPOSITORIES_EDIT))
async def reconnect(here: Here, repository_id: UUID, form: Posted) -> Response:
    await reconnect_repository(here, repository_id, revision_of(form), Response())
    return go(f"{_base(here)}/{repository_id}", "saved")


def revision_of(form: Form) -> int:
    """The revision of the thing that a form was made of.

    Raises:
        InvalidInputError: the form has none.
    """
    found = form.number("revision", "The revision")
    if found is None:
        raise InvalidInputError("The form has lost its revision. Load the page again.", code="bad_form")
    return found


def _base(here: TenantCaller) -> str:
    return f"/console/{here.place.slug}/repositories"


async def _list(
    request: Request,
    here: TenantCaller,
    cursor: str | None,
    *,
    disconnected: bool = False,
    fault: str = "",
    typed: str = "",
    status: int = 200,
) -> Response:
    found = await list_repositories(here, PageRequest(SHOWN, cursor), disconnected=disconnected)
    return page(
        request,
        "repositories.html",
        status,
        repositories=found.items,
        next_cursor=found.next_cursor,
        disconnected=disconnected,
        installations=(await get_installations(here, PageRequest(MAX_PAGE))).items,
        local=here.stores.settings.local_repositories,
        fault=fault,
        typed=typed,
    )
