"""OAuth 2's client credentials: an access token for an API key (RFC 6749, 4.4). Errors are that RFC's, no problems."""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote_plus

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from aicd_backend.access import Level, needs, secured_router
from aicd_backend.access_tokens import LASTS, AccessTokens
from aicd_backend.bodies import Answer
from aicd_backend.stores import Stores
from aicd_core.errors import UnauthenticatedError
from aicd_core.tenancy.api_keys.service import find_key, touch_key
from aicd_core.tenancy.api_keys.values import FoundKey
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import JSON, Actor

router = secured_router("oauth")
FORM = "application/x-www-form-urlencoded"
GRANT = "client_credentials"
FIELDS = ("grant_type", "client_id", "client_secret", "scope")
FIELDS_MOST = 20


class TokenAnswer(Answer):
    """An access token (RFC 6749, 5.1)."""

    access_token: str = Field(examples=["aicd_acc_…"])
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - no password
    expires_in: int = Field(description="Seconds.")
    scope: str = Field(description="What it may do, with spaces between.", examples=["jobs:read"])


class OAuthError(BaseModel):
    """Why there is none (RFC 6749, 5.2)."""

    error: Literal["invalid_request", "invalid_client", "invalid_scope", "unsupported_grant_type"]
    error_description: str = Field(examples=["This grant type is none of ours: use client_credentials."])


class TokenForm(BaseModel):
    """What a program sends. Its name and secret may come by HTTP Basic instead (RFC 6749, 2.3.1)."""

    grant_type: Literal["client_credentials"]
    client_id: str | None = Field(default=None, description="The API key's id or prefix.", examples=["01a2156b"])
    client_secret: str | None = Field(default=None, description="The API key.", examples=["aicd_key_…"])
    scope: str | None = Field(default=None, description="Scopes of the key, with spaces between; all if not given.")


_EXAMPLE = {"grant_type": "client_credentials", "client_id": "01a2156b", "client_secret": "aicd_key_…"}


class _RefusalError(Exception):
    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.answer = {"error": error, "error_description": description}
        self.status = status


def _declared() -> dict[str, Any]:
    declared = needs(Level.PUBLIC)
    body = {"required": True, "content": {FORM: {"schema": TokenForm.model_json_schema(), "example": _EXAMPLE}}}
    errors = {status: {"model": OAuthError, "description": "An error of RFC 6749"} for status in (400, 401)}
    return {"openapi_extra": {**declared["openapi_extra"], "requestBody": body}, "responses": errors}


@router.post("/oauth/token", summary="An access token for an API key", response_model=TokenAnswer, **_declared())
async def issue_access_token(request: Request) -> Response:
    stores: Stores = request.app.state.stores
    tokens: AccessTokens = request.app.state.access_tokens
    now = datetime.now(UTC)
    try:
        form = _form(request.headers.get("Content-Type", ""), await request.body())
        name, secret = _client_of(request.headers.get("Authorization"), form)
        found = await _authenticate(stores, name, secret, now)
        scopes = _scopes(form.get("scope"), found)
    except _RefusalError as refusal:
        headers = {"WWW-Authenticate": 'Basic realm="AI-CD"'} if refusal.status == 401 else None
        return JSONResponse(refusal.answer, refusal.status, headers)
    token = tokens.issue(found.key, scopes, now)
    await _write_down(stores, found, scopes, now)
    answer = TokenAnswer(access_token=token, expires_in=int(LASTS.total_seconds()), scope=" ".join(sorted(scopes)))
    return JSONResponse(answer.model_dump(), headers={"Pragma": "no-cache"})


def _form(content_type: str, body: bytes) -> dict[str, str]:
    """The fields; one that is sent twice, or empty, is refused or left out, as RFC 6749, 3.2 has it."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise _RefusalError("invalid_request", f"Send {FORM}.")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=FIELDS_MOST)
    except ValueError:
        raise _RefusalError("invalid_request", "The body is no form.") from None
    names = [name for name, _ in pairs if name in FIELDS]
    if len(names) != len(set(names)):
        raise _RefusalError("invalid_request", "A parameter is there twice.")
    form = {name: value for name, value in pairs if value}
    if "grant_type" not in form:
        raise _RefusalError("invalid_request", f"Send grant_type={GRANT}.")
    if form["grant_type"] != GRANT:
        raise _RefusalError("unsupported_grant_type", f"grant_type must be {GRANT}.")
    return form


def _client_of(authorization: str | None, form: Mapping[str, str]) -> tuple[str, str]:
    """The client's name and secret, from the header or the form."""
    if authorization is None:
        return form.get("client_id", ""), form.get("client_secret", "")
    if "client_secret" in form:
        raise _RefusalError(
            "invalid_request", "Send the secret in the Authorization header or in the form, not in both."
        )
    scheme, _, encoded = authorization.partition(" ")
    try:
        name, _, secret = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (Base64Error, ValueError):
        name = secret = ""
    if scheme.lower() != "basic":
        name = secret = ""
    return unquote_plus(name), unquote_plus(secret)


async def _authenticate(stores: Stores, name: str, secret: str, now: datetime) -> FoundKey:
    """The API key that is the secret, if it is the one that is named; every other reason is told alike."""
    try:
        found = await find_key(stores.system.courier(), secret, now)
    except UnauthenticatedError:
        found = None
    if found is None or name not in {found.key.prefix, str(found.key.id)}:
        raise _RefusalError(
            "invalid_client", "client_id is an API key's id or prefix, and client_secret that key, as yet good.", 401
        )
    return found


def _scopes(wanted: str | None, found: FoundKey) -> frozenset[str]:
    scopes = found.key.scopes if wanted is None else frozenset(wanted.split())
    if not scopes or not scopes <= found.key.scopes:
        raise _RefusalError("invalid_scope", f"The key has these scopes: {' '.join(sorted(found.key.scopes))}.")
    return scopes


async def _write_down(stores: Stores, found: FoundKey, scopes: frozenset[str], now: datetime) -> None:
    actor, key_id = Actor(ActorKind.API_KEY, str(found.key.id)), found.key.id
    async with stores.database.write(found.tenant) as session:
        await touch_key(session, found.tenant, key_id, now)
        detail: dict[str, JSON] = {"scopes": sorted(scopes), "lasts_seconds": int(LASTS.total_seconds())}
        await record(session, found.tenant, actor, "access_token.issued", "api_key", str(key_id), detail)
