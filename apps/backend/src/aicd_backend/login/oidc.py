"""Logging in at an OpenID Connect provider."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import QueryParams

from aicd_backend.login.attempts import Attempt, code_of_answer
from aicd_backend.login.protocol import (
    Client,
    UnknownKeyError,
    authorization_url,
    claims_of,
    exchange_code,
    get_json,
)
from aicd_backend.login_providers import OidcProvider, TrustedUrl
from aicd_core.errors import UnavailableError
from aicd_core.tenancy.accounts.values import IdentityClaim

SCOPE = "openid email profile"
KEPT = 3600.0
"""Seconds that a discovery document or key set is good for."""
AGAIN = 60.0
"""A key set is fetched at most once in so many seconds for a token that names an unknown key."""
_ADDRESS = frozenset({"email", "email_verified"})
ValueT = TypeVar("ValueT")


class Discovery(BaseModel):
    """The part of a discovery document that is used (OpenID Connect Discovery 1.0, section 3; RFC 8414; RFC 9207)."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    authorization_endpoint: TrustedUrl
    token_endpoint: TrustedUrl
    jwks_uri: TrustedUrl
    userinfo_endpoint: TrustedUrl | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    code_challenge_methods_supported: tuple[str, ...] = ("S256",)
    authorization_response_iss_parameter_supported: bool = False

    @property
    def method(self) -> str:
        """How our secret is sent."""
        known = self.token_endpoint_auth_methods_supported
        return "client_secret_basic" if "client_secret_basic" in known else "client_secret_post"


@dataclass
class _Cached(Generic[ValueT]):
    """One value that is fetched when it is asked for and too old."""

    fetch: Callable[[], Awaitable[ValueT]]
    clock: Callable[[], float]

    def __post_init__(self) -> None:
        self._lock = asyncio.Lock()
        self._held: tuple[float, ValueT] | None = None

    async def get(self, *, kept: float = KEPT) -> ValueT:
        """The value, at most `kept` seconds old."""
        async with self._lock:
            if self._held is None or self.clock() - self._held[0] > kept:
                self._held = (self.clock(), await self.fetch())
            return self._held[1]


class OidcLogin:
    """One provider.

    Args:
        redirect_uri: where it sends browsers back to.
        clock: seconds, for the age of what is kept of it.
    """

    def __init__(self, provider: OidcProvider, redirect_uri: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.provider = provider
        self._redirect_uri = redirect_uri
        self._discovery = _Cached(self._discover, clock)
        self._keys = _Cached(self._fetch_keys, clock)

    async def begin(self, attempt: Attempt) -> str:
        """Where the browser is sent.

        Raises:
            UnavailableError: `login_provider_unavailable`, `login_provider_unfit`.
        """
        found = await self._discovery.get()
        client, endpoint = self._client(found), found.authorization_endpoint
        return authorization_url(client, endpoint, state=attempt.state, nonce=attempt.nonce, verifier=attempt.verifier)

    async def finish(self, answer: QueryParams, attempt: Attempt) -> IdentityClaim:
        """Who has logged in, by the provider's answer.

        Raises:
            RefusedError: a check failed.
            UnavailableError: as `begin`.
        """
        found = await self._discovery.get()
        says = found.authorization_response_iss_parameter_supported
        code = code_of_answer(answer, attempt, self.provider.issuer, says_issuer=says)
        tokens = await exchange_code(self._client(found), found.token_endpoint, code=code, verifier=attempt.verifier)
        claims = await self._proven(tokens, attempt)
        if not claims.keys() >= _ADDRESS and found.userinfo_endpoint is not None:
            told = await get_json(found.userinfo_endpoint, token=str(tokens.get("access_token")))
            # Another subject's answer must not be taken for this one's: OpenID Connect Core 1.0, 5.3.2
            if isinstance(told, dict) and told.get("sub") == claims["sub"]:
                # Whether an address is verified is said of the one beside it.
                claims = {name: claims[name] for name in claims.keys() - _ADDRESS} | told
        return _claim(self.provider.issuer, claims)

    async def _proven(self, tokens: dict[str, Any], attempt: Attempt) -> dict[str, Any]:
        id_token, access_token = str(tokens.get("id_token", "")), tokens.get("access_token")
        for kept in (KEPT, AGAIN):
            try:
                return claims_of(
                    id_token, await self._keys.get(kept=kept), issuer=self.provider.issuer,
                    client_id=self.provider.client_id, nonce=attempt.nonce, access_token=access_token,
                )  # fmt: skip
            except UnknownKeyError:
                continue
        raise self._unfit("its ID token is signed with a key that it does not publish")

    def _client(self, found: Discovery) -> Client:
        return Client(self.provider.client_id, self.provider.secret, self._redirect_uri, SCOPE, found.method)

    async def _discover(self) -> Discovery:
        url = f"{self.provider.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            found = Discovery.model_validate(await get_json(url))
        except ValidationError as error:
            names = ", ".join(str(fault["loc"][0]) for fault in error.errors() if fault["loc"])
            raise self._unfit(f"its discovery document is not as it must be: {names or 'no object'}") from error
        if found.issuer != self.provider.issuer:
            raise self._unfit("its discovery document names another issuer than AICD_LOGIN_PROVIDERS")
        if "S256" not in found.code_challenge_methods_supported:
            raise self._unfit("it does not know PKCE with S256, without which a stolen code would do")
        return found

    async def _fetch_keys(self) -> dict[str, Any]:
        keys = await get_json((await self._discovery.get()).jwks_uri)
        if not isinstance(keys, dict) or not isinstance(keys.get("keys"), list):
            raise self._unfit("its key set is not as it must be")
        return keys

    def _unfit(self, why: str) -> UnavailableError:
        return UnavailableError(
            f"Nobody can log in at {self.provider.issuer}: {why}. Tell whoever runs AI-CD here.",
            code="login_provider_unfit",
        )


def _claim(issuer: str, claims: dict[str, Any]) -> IdentityClaim:
    # Some providers say it as text. Whatever is neither has verified nothing.
    email, name, said = claims.get("email"), claims.get("name"), claims.get("email_verified")
    return IdentityClaim(
        issuer=issuer,
        subject=str(claims["sub"]),
        email=email if isinstance(email, str) else "",
        email_verified=said is True or said == "true",
        name=name if isinstance(name, str) else "",
    )
