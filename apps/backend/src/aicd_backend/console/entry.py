"""Coming in and going out: the login page, a login by API key, the organizations to choose from."""

from datetime import UTC, datetime
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from aicd_backend.access import Level
from aicd_backend.callers import AnyCaller, Here
from aicd_backend.console.forms import Posted, read_form
from aicd_backend.console.pages import NAVIGATION, PLAIN, at, go, page, sections_of
from aicd_backend.console.routing import LOGIN, console_router, sees
from aicd_backend.console_logins import LASTS, ConsoleLogins
from aicd_backend.csrf import own_origin, refuse_forged
from aicd_backend.login.accounts import end_former, log_out
from aicd_backend.login.attempts import safe_return
from aicd_backend.login.cookies import drop, keep
from aicd_backend.problems import RefusedError
from aicd_backend.routes.auth import client_of, list_login_providers
from aicd_backend.routes.me import places_of
from aicd_backend.stores import Stores
from aicd_core.errors import UnauthenticatedError
from aicd_core.tenancy.api_keys.service import find_key
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.principals.values import SessionPrincipal

router = console_router()
HOME = "/console"
NO_KEY = "That is no API key that is good here: it is mistyped, was revoked, or has expired."


@router.get("/", **sees(Level.PUBLIC))
async def get_root() -> Response:
    return RedirectResponse(HOME, 303, PLAIN)


@router.get(HOME, **sees(Level.AUTHENTICATED))
async def get_home(request: Request, caller: AnyCaller) -> Response:
    places = await places_of(caller)
    if len(places) == 1:
        return RedirectResponse(f"{HOME}/{places[0].slug}", 303, PLAIN)
    return page(request, "organizations.html", places=places)


@router.get("/console/{org}", **sees(Level.AUTHENTICATED))
async def get_organization_home(here: Here) -> Response:
    """Leads to the first section that whoever asks may see; where there is none, the first says why."""
    section, _ = next(iter(sections_of(here.powers)), NAVIGATION[0][:2])
    return go(at(here, section))


@router.get(LOGIN, **sees(Level.PUBLIC))
async def get_login(request: Request, return_to: str = HOME) -> Response:
    return await _login_page(request, _safe(request, return_to))


@router.post(f"{LOGIN}/key", **sees(Level.PUBLIC))
async def log_in_by_key(request: Request) -> Response:
    """Whoever has a key may have a cookie that stands for it; the key itself is not kept."""
    stores: Stores = request.app.state.stores
    settings, now = stores.settings, datetime.now(UTC)
    refuse_forged(request, settings)
    form = await read_form(request)
    where = _safe(request, form.text("return_to") or HOME)
    try:
        found = await find_key(stores.system.courier(), form.text("key"), now)
    except UnauthenticatedError:
        return await _login_page(request, where, NO_KEY, 403)
    logins: ConsoleLogins = request.app.state.console_logins
    sealed = logins.open(found.key, now)
    actor, client = Actor(ActorKind.API_KEY, str(found.key.id)), client_of(request)
    detail = {"address": client.address, "user_agent": client.user_agent}
    async with stores.database.write(found.tenant) as session:
        await record(session, found.tenant, actor, "session.opened", "api_key", str(found.key.id), detail)
    await end_former(stores, request.cookies.get(settings.session_cookie), client, now)
    response = RedirectResponse(where, 303, PLAIN)
    keep(response, settings.session_cookie, sealed, LASTS, settings)
    return response


@router.post("/logout", **sees(Level.AUTHENTICATED))
async def leave(request: Request, caller: AnyCaller, form: Posted) -> Response:  # noqa: ARG001 - its token is checked
    principal = caller.principal
    if isinstance(principal, SessionPrincipal):
        await log_out(caller.stores, principal.user_id, principal.session_id, client_of(request), caller.now)
    response = go(LOGIN, "logged_out")
    drop(response, caller.stores.settings.session_cookie, caller.stores.settings)
    return response


def _safe(request: Request, wanted: str) -> str:
    stores: Stores = request.app.state.stores
    try:
        return safe_return(wanted, own_origin(request, stores.settings), ())
    except RefusedError:
        return HOME


async def _login_page(request: Request, where: str, fault: str = "", status: int = 200) -> Response:
    providers = await list_login_providers(request)
    quoted = quote(where, safe="")
    return page(request, "login.html", status, providers=providers, where=where, quoted=quoted, fault=fault)
