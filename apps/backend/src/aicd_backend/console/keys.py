"""API keys: made, shown once, revoked."""

from datetime import timedelta
from uuid import UUID

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.callers import Here, TenantCaller
from aicd_backend.console.forms import Form, Posted
from aicd_backend.console.pages import go, page
from aicd_backend.console.routing import console_router, sees
from aicd_backend.routes.api_keys import IssuedKeyAnswer, NewKeyBody, create_api_key, list_api_keys, revoke_api_key
from aicd_core.db.pages import PageRequest
from aicd_core.errors import AicdError
from aicd_core.tenancy.permissions import Permission

router = console_router()
KEYS = "/console/{org}/keys"
SHOWN = 50
DAYS_MOST = 3650


@router.get(KEYS, **sees(Permission.KEYS_EDIT))
async def show_keys(request: Request, here: Here, cursor: str | None = None) -> Response:
    return await _keys(request, here, cursor, Form({}))


@router.post(KEYS, **sees(Permission.KEYS_EDIT))
async def make_key(request: Request, here: Here, form: Posted) -> Response:
    try:
        days = form.number("days", "Days")
        ends = None if not days else here.now + timedelta(days=min(days, DAYS_MOST))
        new = NewKeyBody(name=form.text("name"), scopes=frozenset(form.choices("scopes")), expires_at=ends)
        issued = await create_api_key(here, new)
    except ValidationError:
        fault = "A key has a name and at least one scope."
        return await _keys(request, here, None, form, fault=fault, status=400)
    except AicdError as error:
        return await _keys(request, here, None, form, fault=error.message, status=400)
    return await _keys(request, here, None, Form({}), issued=issued)


@router.post(f"{KEYS}/{{key_id}}/revoke", **sees(Permission.KEYS_EDIT))
async def revoke_key(here: Here, key_id: UUID, form: Posted) -> Response:  # noqa: ARG001 - its token is checked
    await revoke_api_key(here, key_id)
    return go(f"/console/{here.place.slug}/keys", "revoked")


async def _keys(
    request: Request,
    here: TenantCaller,
    cursor: str | None,
    form: Form,
    *,
    issued: IssuedKeyAnswer | None = None,
    fault: str = "",
    status: int = 200,
) -> Response:
    found = await list_api_keys(here, PageRequest(SHOWN, cursor))
    scopes = [permission for permission in Permission if permission in here.powers]
    return page(
        request,
        "keys.html",
        status,
        keys=found.items,
        next_cursor=found.next_cursor,
        scopes=scopes,
        issued=issued,
        form=form,
        fault=fault,
    )
