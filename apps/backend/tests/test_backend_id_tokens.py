"""A provider that lies: whatever it says wrongly of itself, its keys or somebody, nobody gets in by it."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from joserfc.jwk import RSAKey
from pydantic import SecretStr
from starlette.datastructures import QueryParams

from aicd_backend.login.attempts import Attempt
from aicd_backend.login.oidc import AGAIN, KEPT, OidcLogin
from aicd_backend.login.protocol import LEEWAY
from aicd_backend.login_providers import OidcProvider
from aicd_backend.problems import RefusedError
from aicd_backend.testing.providers import CLIENT_ID, CLIENT_SECRET, LyingProvider, serving
from aicd_core.errors import UnavailableError
from aicd_core.tenancy.accounts.values import IdentityClaim

REDIRECT = "https://api.test/v1/auth/acme/callback"
ATTEMPT = Attempt.begin("acme", "/")
ANSWER = QueryParams({"state": ATTEMPT.state, "code": "code"})
NOW = int(time.time())
TRUE: dict[str, Any] = {
    "sub": "alice", "aud": CLIENT_ID, "nonce": ATTEMPT.nonce, "iat": NOW, "exp": NOW + 3600,
    "email": "alice@example.org", "email_verified": True, "name": "Alice",
}  # fmt: skip


@asynccontextmanager
async def login_at(liar: LyingProvider, clock: Callable[[], float] = time.monotonic) -> AsyncIterator[OidcLogin]:
    async with serving(liar.app()) as issuer:
        secret = SecretStr(CLIENT_SECRET)
        provider = OidcProvider(name="acme", issuer=issuer, client_id=CLIENT_ID, client_secret=secret)
        yield OidcLogin(provider, REDIRECT, clock)


async def claim_by(liar: LyingProvider) -> IdentityClaim:
    async with login_at(liar) as login:
        return await login.finish(ANSWER, ATTEMPT)


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in TRUE.items() if name not in names}


def encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def by_secret(claims: dict[str, Any], secret: bytes, **header: str) -> str:
    """A token that is signed with something that is no private key; with `alg` none, with nothing."""
    body = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    mac = b"" if header["alg"] == "none" else hmac.digest(secret, body.encode(), "sha256")
    return f"{body}.{encoded(mac)}"


async def test_a_true_token_says_who_it_is() -> None:
    claim = await claim_by(LyingProvider(TRUE))
    assert (claim.subject, claim.email, claim.email_verified, claim.name) == ("alice", TRUE["email"], True, "Alice")
    assert claim.issuer.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (TRUE | {"iss": "https://evil.test"}, "another issuer"),
        (TRUE | {"aud": "somebody-else"}, "for another client"),
        (TRUE | {"aud": [CLIENT_ID, "somebody-else"]}, "for several, and nobody says who asked"),
        (TRUE | {"aud": [CLIENT_ID, "somebody-else"], "azp": "somebody-else"}, "another client asked"),
        (TRUE | {"azp": "somebody-else"}, "another client asked"),
        (TRUE | {"aud": "somebody-else", "azp": CLIENT_ID}, "we asked, for another client"),
        (TRUE | {"exp": NOW - 2 * LEEWAY}, "expired"),
        (TRUE | {"iat": NOW + 3600}, "of the future"),
        (TRUE | {"nonce": "of another login"}, "another nonce"),
        (TRUE | {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "for another access token"),
        *((without(name), f"without {name}") for name in ("sub", "aud", "exp", "iat", "nonce")),
    ],
)
async def test_a_token_that_is_not_for_this_login_lets_nobody_in(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(RefusedError, match="does not prove who you are") as refused:
        await claim_by(LyingProvider(wrong))
    assert refused.value.code == "id_token_refused", why


async def test_only_a_key_that_the_provider_publishes_signs() -> None:
    forged, good = RSAKey.generate_key(2048, {"kid": "one"}), LyingProvider(TRUE)
    good.published = [good.key]
    good.key = forged
    async with login_at(good) as login:
        true = TRUE | {"iss": login.provider.issuer}
        for token in (
            None,
            by_secret(true, b"", alg="none"),
            by_secret(true, b"", alg="none", kid="one"),
            by_secret(true, CLIENT_SECRET.encode(), alg="HS256", kid="one"),
            by_secret(true, good.published[0].as_pem(private=False), alg="HS256", kid="one"),
            *("a.b.c", "\x00", "a.b.c.d.e"),
        ):
            good.id_token = token
            with pytest.raises(RefusedError) as refused:
                await login.finish(ANSWER, ATTEMPT)
            assert refused.value.code == "id_token_refused", token


async def test_a_new_key_is_found_and_a_made_up_one_asked_for_once_a_minute() -> None:
    now = [0.0]
    liar = LyingProvider(TRUE)
    async with login_at(liar, lambda: now[0]) as login:
        await login.finish(ANSWER, ATTEMPT)
        liar.key = RSAKey.generate_key(2048, {"kid": "two"})
        with pytest.raises(UnavailableError, match="a key that it does not publish"):
            await login.finish(ANSWER, ATTEMPT)
        assert liar.calls == ["discovery", "jwks"]
        now[0] += AGAIN + 1
        assert (await login.finish(ANSWER, ATTEMPT)).subject == "alice"
        assert liar.calls == ["discovery", "jwks", "jwks"]
        now[0] += KEPT + 1
        await login.finish(ANSWER, ATTEMPT)
        assert sorted(liar.calls[3:]) == ["discovery", "jwks"]


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"issuer": "https://evil.test"}, "names another issuer"),
        ({"token_endpoint": "http://evil.test/token"}, "token_endpoint"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint"),
        ({"jwks_uri": None}, "jwks_uri"),
        ({"code_challenge_methods_supported": ["plain"]}, "PKCE with S256"),
    ],
)
async def test_a_provider_that_is_not_as_it_must_be_is_not_asked(told: dict[str, Any], fault: str) -> None:
    liar = LyingProvider(TRUE, discovery=told)
    async with login_at(liar) as login:
        with pytest.raises(UnavailableError, match=fault) as unfit:
            await login.begin(ATTEMPT)
    assert unfit.value.code == "login_provider_unfit"


@pytest.mark.parametrize(
    ("claims", "userinfo", "expected"),
    [
        (TRUE | {"email_verified": "true"}, {}, (TRUE["email"], True)),
        (TRUE | {"email_verified": "yes"}, {}, (TRUE["email"], False)),
        (TRUE | {"email_verified": 1}, {}, (TRUE["email"], False)),
        (without("email_verified"), {}, (TRUE["email"], False)),
        (
            without("email", "email_verified"),
            {"sub": "alice", "email": "a@b.c", "email_verified": True},
            ("a@b.c", True),
        ),
        (without("email", "email_verified"), {"sub": "bob", "email": "a@b.c", "email_verified": True}, ("", False)),
        (without("email_verified"), {"sub": "alice", "email": "a@b.c"}, ("a@b.c", False)),
        (without("email"), {"sub": "alice", "email": "a@b.c"}, ("a@b.c", False)),
        (without("email", "email_verified"), {"sub": "alice", "email": ["a@b.c"], "email_verified": True}, ("", True)),
    ],
)
async def test_an_address_is_verified_only_if_the_provider_says_so_of_that_one(
    claims: dict[str, Any], userinfo: dict[str, Any], expected: tuple[str, bool]
) -> None:
    liar = LyingProvider(claims, userinfo=userinfo)
    async with serving(liar.app()) as issuer:
        liar.discovery["userinfo_endpoint"] = f"{issuer}/me"
        provider = OidcProvider(name="acme", issuer=issuer, client_id=CLIENT_ID)
        claim = await OidcLogin(provider, REDIRECT).finish(ANSWER, ATTEMPT)
    assert (claim.email, claim.email_verified) == expected
