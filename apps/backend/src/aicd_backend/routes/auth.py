"""Logging in at a provider, and logging out. What is checked on the way is in `aicd_backend.login`."""

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Path, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from aicd_backend.access import Level, needs, secured_router
from aicd_backend.bodies import Answer
from aicd_backend.callers import AnyCaller
from aicd_backend.csrf import own_origin
from aicd_backend.login.accounts import log_in, log_out
from aicd_backend.login.attempts import LASTS, STRANGER, Attempt, safe_return
from aicd_backend.login.cookies import drop, keep
from aicd_backend.login.page import tell_failed
from aicd_backend.login.registry import Logins
from aicd_backend.problems import RefusedError, problem_answers
from aicd_backend.settings import BackendSettings
from aicd_backend.stores import Stores
from aicd_core.errors import AicdError
from aicd_core.tenancy.accounts.logins import ADDRESS_MOST, USER_AGENT_MOST
from aicd_core.tenancy.accounts.values import Client
from aicd_core.tenancy.principals.values import SessionPrincipal
from aicd_core.text import one_line

router = secured_router("auth")
ProviderName = Annotated[str, Path(description="Name of a login provider.", examples=["github"])]


def _redirects() -> dict[str, Any]:
    """What a route declares that answers a browser."""
    declared = needs(Level.PUBLIC)
    location = {"description": "Where to go on.", "schema": {"type": "string"}}
    responses = {302: {"description": "Go on.", "headers": {"Location": location}}, **problem_answers([400, 403, 404])}
    return {**declared, "responses": responses}


class ProviderAnswer(Answer):
    """Where people can log in."""

    name: str = Field(examples=["github"])
    label: str = Field(description="What to write on the button.", examples=["GitHub"])
    login_url: str = Field(description="Lead the browser there.", examples=["/v1/auth/github/login"])


@router.get("/auth/providers", summary="Where people can log in", **needs(Level.PUBLIC))
async def list_login_providers(request: Request) -> tuple[ProviderAnswer, ...]:
    logins: Logins = request.app.state.logins
    return tuple(
        ProviderAnswer(name=each.name, label=each.label or each.name, login_url=_begin_url(each.name))
        for each in logins
    )


@router.get(
    "/auth/{provider}/login",
    summary="Begin a login: the browser is sent to the provider",
    status_code=302,
    response_class=RedirectResponse,
    **_redirects(),
)
async def begin_login(
    request: Request,
    provider: ProviderName,
    return_to: Annotated[
        str | None, Query(description="Where to go afterwards: a path of this server, or a page of a front end.")
    ] = None,
) -> Response:
    stores, logins = _held_by(request)
    settings = stores.settings
    try:
        login = logins.at(provider)
        attempt = Attempt.begin(provider, safe_return(return_to, own_origin(request, settings), settings.origins))
        response = RedirectResponse(await login.begin(attempt), 302)
        sealed = logins.seal.close(attempt.content(), datetime.now(UTC))
        keep(response, settings.login_cookie, sealed, LASTS, settings)
    except (AicdError, RefusedError) as error:
        return tell_failed(request, error, _begin_url(provider))
    return response


@router.get(
    "/auth/{provider}/callback",
    summary="The provider sends the browser back here",
    status_code=302,
    response_class=RedirectResponse,
    **_redirects(),
)
async def finish_login(request: Request, provider: ProviderName) -> Response:
    stores, logins = _held_by(request)
    settings, now = stores.settings, datetime.now(UTC)
    try:
        login = logins.at(provider)
        attempt = _attempt_of(request, provider, settings, logins, now)
        claim = await login.finish(request.query_params, attempt)
        opened = await log_in(stores, claim, client_of(request), request.cookies.get(settings.session_cookie), now)
    except (AicdError, RefusedError) as error:
        response = tell_failed(request, error, _begin_url(provider))
        if error.code != STRANGER[1]:
            drop(response, settings.login_cookie, settings)
        return response
    response = RedirectResponse(attempt.return_to, 302)
    keep(response, settings.session_cookie, opened.token.reveal(), settings.session_limits.absolute, settings)
    drop(response, settings.login_cookie, settings)
    return response


@router.post("/auth/logout", status_code=204, summary="End the login that this is sent with", **needs(Level.PERSON))
async def logout(request: Request, response: Response, caller: AnyCaller) -> None:
    principal = caller.principal
    assert isinstance(principal, SessionPrincipal)  # what Level.PERSON means
    await log_out(caller.stores, principal.user_id, principal.session_id, client_of(request), caller.now)
    drop(response, caller.stores.settings.session_cookie, caller.stores.settings)


def _attempt_of(request: Request, provider: str, settings: BackendSettings, logins: Logins, now: datetime) -> Attempt:
    """The login that this browser has begun at this provider.

    Raises:
        RefusedError: `login_unknown`.
    """
    content = logins.seal.open(request.cookies.get(settings.login_cookie, ""), LASTS, now)
    if content is None or content["provider"] != provider:
        raise RefusedError(*STRANGER)
    return Attempt(**content)


def _held_by(request: Request) -> tuple[Stores, Logins]:
    return request.app.state.stores, request.app.state.logins


def _begin_url(provider: str) -> str:
    return f"/v1/auth/{quote(provider, safe='')}/login"


def client_of(request: Request) -> Client:
    """Where a request comes from, as its user will read it."""
    agent = one_line(request.headers.get("User-Agent", ""), USER_AGENT_MOST)
    return Client(agent, one_line(request.client.host if request.client else "", ADDRESS_MOST))
