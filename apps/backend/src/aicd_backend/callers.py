"""Who sends a request: found in one round trip from an API key or a session's cookie."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path
from starlette.requests import Request

from aicd_backend.access_tokens import PREFIX, AccessTokens
from aicd_backend.console_logins import PREFIX as CONSOLE_PREFIX
from aicd_backend.console_logins import ConsoleLogins
from aicd_backend.csrf import refuse_forged
from aicd_backend.problems import RefusedError
from aicd_backend.stores import Stores
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.errors import UnauthenticatedError
from aicd_core.ids import SessionId, UserId
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.accounts import logins
from aicd_core.tenancy.api_keys.service import touch_key
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.idempotency.service import carry_out
from aicd_core.tenancy.idempotency.values import RequestClaim
from aicd_core.tenancy.permissions import Permission
from aicd_core.tenancy.principals.service import principal_of_grant, principal_of_key, principal_of_session
from aicd_core.tenancy.principals.values import KeyPrincipal, Place, Principal, SessionPrincipal

NO_CREDENTIAL = (
    401,
    "credential_missing",
    "Say who you are: send an API key as `Authorization: Bearer aicd_key_…`, or log in.",
    {"WWW-Authenticate": 'Bearer realm="AI-CD"'},
)
BAD_CREDENTIAL = (
    401,
    "credential_invalid",
    "The API key or login is unknown, revoked or has ended. Use another key, or log in again.",
    {"WWW-Authenticate": 'Bearer realm="AI-CD", error="invalid_token"'},
)
"""The same for all reasons: what is wrong with a credential is nobody's business but its owner's.

Made anew each time: an exception that is raised again keeps the stack, and so the request, of every time before.
"""
NOT_FOUND = (404, "organization_not_found", "There is no such organization, or you have no place in it.")


@dataclass(frozen=True)
class Caller:
    """Who sends this request, and what it may reach."""

    stores: Stores
    principal: Principal
    now: datetime
    credential: str = field(repr=False)
    held: RequestClaim | None = field(default=None, kw_only=True)

    @property
    def credential_id(self) -> UUID:
        """The API key, also where an access token stands for it, or the login."""
        principal = self.principal
        return principal.key_id if isinstance(principal, KeyPrincipal) else principal.session_id

    @property
    def actor(self) -> Actor:
        """Who acts, for the audit log."""
        return self.principal.actor

    @property
    def user_id(self) -> UserId:
        """The person who asks; only of a route for `Level.PERSON`."""
        assert isinstance(self.principal, SessionPrincipal)
        return self.principal.user_id

    @property
    def session_id(self) -> SessionId:
        """His login; likewise."""
        assert isinstance(self.principal, SessionPrincipal)
        return self.principal.session_id


@dataclass(frozen=True)
class TenantCaller(Caller):
    """A caller in the organization that the path names, where he has a place."""

    place: Place

    @property
    def tenant(self) -> Tenant:
        """The organization that the path names."""
        return self.place.tenant

    @property
    def powers(self) -> frozenset[Permission]:
        """All that the caller may do there."""
        return self.place.powers

    def read(self) -> AbstractAsyncContextManager[ReadSession]:
        """A read-only transaction on the organization's rows."""
        return self.stores.database.read(self.tenant)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """A transaction on the organization's rows; of a request with an `Idempotency-Key` it is the only effect."""
        async with self.stores.database.write(self.tenant) as session:
            if self.held is not None:
                await carry_out(session, self.tenant, self.held)
            yield session


async def identify(request: Request, slug: str | None) -> Caller:
    """Whoever sends a request, at the organization that it names, if it names one.

    Raises:
        RefusedError: 401 for no credential or a bad one, 404 for no place there, 403 for a forged request.
    """
    stores: Stores = request.app.state.stores
    now = datetime.now(UTC)
    principal, credential = await _principal(request, stores, slug or "", now)
    await _note_use(stores, principal, now)
    if slug is None:
        return Caller(stores, principal, now, credential)
    if principal.place is None or principal.place.slug != slug:
        raise RefusedError(*NOT_FOUND)
    return TenantCaller(stores, principal, now, credential, principal.place)


async def _principal(request: Request, stores: Stores, slug: str, now: datetime) -> tuple[Principal, str]:
    try:
        if (authorization := request.headers.get("Authorization")) is not None:
            scheme, _, key = authorization.partition(" ")
            if scheme.lower() != "bearer":
                raise RefusedError(*BAD_CREDENTIAL)
            return await _of_bearer(request, stores, key.strip(), now), key.strip()
        token = request.cookies.get(stores.settings.session_cookie)
        if token is None:
            raise RefusedError(*NO_CREDENTIAL)
        found = await _of_cookie(request, stores, token, slug, now)
    except UnauthenticatedError as error:
        raise RefusedError(*BAD_CREDENTIAL) from error
    refuse_forged(request, stores.settings)
    return found, token


async def _of_cookie(request: Request, stores: Stores, token: str, slug: str, now: datetime) -> Principal:
    """Whose login a cookie is: a person's, or one that stands for an API key."""
    if not token.startswith(CONSOLE_PREFIX):
        return await principal_of_session(stores.system.courier(), token, slug, now)
    logins_by_key: ConsoleLogins = request.app.state.console_logins
    return await principal_of_grant(stores.system.courier(), logins_by_key.read(token, now), now)


async def _of_bearer(request: Request, stores: Stores, text: str, now: datetime) -> KeyPrincipal:
    """Whoever sends an API key, or an access token that was issued for one."""
    if not text.startswith(PREFIX):
        return await principal_of_key(stores.system.courier(), text, now)
    tokens: AccessTokens = request.app.state.access_tokens
    return await principal_of_grant(stores.system.courier(), tokens.read(text, now), now)


async def _note_use(stores: Stores, principal: Principal, now: datetime) -> None:
    """Writes down that a credential was used, at most once a minute."""
    last = principal.last_used_at
    if last is not None and now - last < logins.TOUCH_EVERY:
        return
    if isinstance(principal, KeyPrincipal):
        async with stores.database.write(principal.place.tenant) as session:
            await touch_key(session, principal.place.tenant, principal.key_id, now)
    else:
        async with stores.database.accounts() as accounts:
            await logins.touch_session(accounts, principal.session_id, stores.settings.session_limits, now)


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


async def _tenant_caller(
    request: Request,
    org: Annotated[str, Path(description="The organization's slug.", examples=["acme"])],  # noqa: ARG001 - documented
) -> TenantCaller:
    caller: TenantCaller = request.state.caller
    return caller


AnyCaller = Annotated[Caller, Depends(_caller)]
"""Parameter of a route that no organization's permission is needed for."""
Here = Annotated[TenantCaller, Depends(_tenant_caller)]
"""Parameter of a route below `/organizations/{org}`."""
