"""API keys: made, shown once, revoked."""

from datetime import timedelta
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.callers import Here, TenantCaller
from aicd_backend.console.forms import Form, Posted, body_of
from aicd_backend.console.pages import at, form_page, go, refused
from aicd_backend.console.routing import console_router, sees
from aicd_backend.problems import Problem, RefusedError
from aicd_backend.routes.api_keys import IssuedKeyAnswer, NewKeyBody, create_api_key, list_api_keys, revoke_api_key
from aicd_core.db.pages import PageRequest
from aicd_core.errors import AicdError, InvalidInputError
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.permissions import DESCRIPTIONS, Permission

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
        if days is not None and not 1 <= days <= DAYS_MOST:
            raise InvalidInputError(
                f"Days are from 1 to {DAYS_MOST}; left empty, the key never ends.", code="bad_field"
            )
        ends = None if days is None else here.now + timedelta(days=days)
        name, scopes = form.text("name"), frozenset(form.choices("scopes"))
        if not name or not scopes:
            raise InvalidInputError("A key has a name and at least one scope.", code="bad_field")
        issued = await create_api_key(here, body_of(NewKeyBody, name=name, scopes=scopes, expires_at=ends))
    except (AicdError, RefusedError) as error:
        return await _keys(request, here, None, form, fault=refused(request, error))
    return await _keys(request, here, None, Form({}), issued=issued)


@router.post(f"{KEYS}/{{key_id}}/revoke", **sees(Permission.KEYS_EDIT))
async def revoke_key(here: Here, key_id: UUID, form: Posted) -> Response:  # noqa: ARG001 - its token is checked
    await revoke_api_key(here, key_id)
    return go(at(here, "keys"), "revoked")


async def _keys(
    request: Request,
    here: TenantCaller,
    cursor: str | None,
    form: Form,
    *,
    issued: IssuedKeyAnswer | None = None,
    fault: Problem | None = None,
) -> Response:
    found = await list_api_keys(here, PageRequest(SHOWN, cursor))
    scopes = {permission: DESCRIPTIONS[permission] for permission in Permission if permission in here.powers}
    return form_page(
        *(request, "keys.html", fault),
        keys=found.items,
        next_cursor=found.next_cursor,
        scopes=scopes,
        days_most=DAYS_MOST,
        own_key=here.actor.id if here.actor.kind is ActorKind.API_KEY else None,
        issued=issued,
        form=form,
    )
