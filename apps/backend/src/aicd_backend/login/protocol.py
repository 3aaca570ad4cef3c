"""OAuth 2 and OpenID Connect on the wire. The only file that knows Authlib."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from httpx2 import HTTPError
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from aicd_backend.problems import RefusedError
from aicd_core.errors import UnavailableError

ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519", "EdDSA"),
)
"""What an ID token may be signed with: nothing, or a secret that we share with the provider, is not among it."""
LEEWAY = 60
"""Seconds that a provider's clock may be wrong."""
TIMEOUT = 10.0
"""Seconds that a provider may take to answer."""


class UnknownKeyError(Exception):
    """A token is signed with a key that the provider's key set does not hold."""


@dataclass(frozen=True)
class Client:
    """Our registration at a provider.

    Args:
        method: how the secret is sent (RFC 7591, token_endpoint_auth_method).
    """

    client_id: str
    secret: str | None = field(repr=False)
    redirect_uri: str
    scope: str
    method: str = "client_secret_basic"


def authorization_url(client: Client, endpoint: str, *, state: str, nonce: str | None, verifier: str) -> str:
    """Where the browser is sent to log in; always with a code challenge of method S256."""
    extra = {} if nonce is None else {"nonce": nonce}
    url: str
    url, _ = _client(client).create_authorization_url(endpoint, state=state, code_verifier=verifier, **extra)
    return url


async def exchange_code(client: Client, endpoint: str, *, code: str, verifier: str) -> dict[str, Any]:
    """The provider's tokens for a code.

    Raises:
        RefusedError: `login_code_refused`; the code was used, is too old, or belongs to another login.
        UnavailableError: `login_provider_unavailable`.
    """
    async with _client(client) as session:
        try:
            answer = await session.fetch_token(
                endpoint, grant_type="authorization_code", code=code, code_verifier=verifier,
                redirect_uri=client.redirect_uri,
            )  # fmt: skip
        except AuthlibBaseError as error:
            raise RefusedError(
                403,
                "login_code_refused",
                "The provider did not take its own code: it was used before, is too old or belongs to another login. "
                "Begin again; if that does not help, whoever runs AI-CD here should check the client's secret.",
            ) from error
        except (HTTPError, ValueError) as error:
            raise _unavailable(endpoint) from error
    return dict(answer)


async def get_json(url: str, *, token: str | None = None, headers: Mapping[str, str] | None = None) -> Any:
    """A JSON document of the provider's, with an access token or without.

    Raises:
        UnavailableError: `login_provider_unavailable`; not there, refused, or no JSON.
    """
    sent = {"Accept": "application/json", **(headers or {})}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    async with AsyncOAuth2Client(verify=_trust(), timeout=TIMEOUT) as session:
        try:
            answer = await session.request("GET", url, withhold_token=True, headers=sent)
            answer.raise_for_status()
            return answer.json()
        except (HTTPError, ValueError) as error:
            raise _unavailable(url) from error


def claims_of(
    id_token: str, keys: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, access_token: str | None
) -> dict[str, Any]:
    """What an ID token says, once all of it is proven (OpenID Connect Core 1.0, 3.1.3.7).

    Args:
        keys: the provider's JSON Web Key Set.

    Raises:
        UnknownKeyError: no such key in the set.
        RefusedError: `id_token_refused`; signature, algorithm, issuer, audience, time or nonce is not as it must be.
    """
    registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    wanted: Any = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": client_id}}
    expected = {"nonce": nonce, "client_id": client_id, "access_token": access_token}
    try:
        token = jwt.decode(id_token, KeySet.import_key_set(dict(keys)), registry=registry)  # type: ignore[arg-type]
        claims = CodeIDToken(token.claims, token.header, wanted, expected)
        claims.validate(leeway=LEEWAY)
    except InvalidKeyIdError as error:
        raise UnknownKeyError from error
    except (JoseError, KeyError, TypeError, ValueError) as error:
        raise RefusedError(
            403,
            "id_token_refused",
            f"The provider's ID token does not prove who you are ({type(error).__name__}). Begin again; if that does "
            "not help, tell whoever runs AI-CD here.",
        ) from error
    return dict(claims)


def _client(client: Client) -> AsyncOAuth2Client:
    return AsyncOAuth2Client(
        client_id=client.client_id,
        client_secret=client.secret,
        token_endpoint_auth_method=client.method if client.secret else "none",
        scope=client.scope,
        redirect_uri=client.redirect_uri,
        code_challenge_method="S256",
        verify=_trust(),
        timeout=TIMEOUT,
    )


@cache
def _trust() -> ssl.SSLContext:
    """The machine's certificates, read once: that takes longer than all the rest of a login."""
    return ssl.create_default_context()


def _unavailable(url: str) -> UnavailableError:
    return UnavailableError(
        f"The login provider does not answer as it should at {url}. Try again later.",
        code="login_provider_unavailable",
    )
