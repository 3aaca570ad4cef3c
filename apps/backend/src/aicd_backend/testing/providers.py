"""Login providers to test against: the certified `oidc-provider`, and stand-ins for GitHub and for one that lies."""

import asyncio
import json
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qsl, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import Key, KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from aicd_cli.http import Server, listening
from aicd_github.testing.node import node_environment, node_project

CLIENT_ID = "aicd"
CLIENT_SECRET = "only-for-tests-" + "x" * 32
HOST = "127.0.0.1"
Account = Mapping[str, Any]


@contextmanager
def serving_oidc(root: Path, accounts: Mapping[str, Account], redirect_uris: list[str]) -> Iterator[str]:
    """Runs `oidc-provider` in a process of its own; its issuer.

    Args:
        root: of the workspace, where `tests/node` and `.tools` are.
        accounts: claims by subject; the browser's cookie `account` says who is at it.
    """
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "redirect_uris": redirect_uris}
    settings = {"clients": [client], "accounts": accounts}
    place = node_project(root / "tests" / "node", root / ".tools")
    script = (root / "tests" / "node" / "oidc_provider.mjs").read_text()
    with subprocess.Popen(
        ["node", "--input-type=module", "--eval", script],
        cwd=place,
        env=node_environment() | {"OIDC_PROVIDER": json.dumps(settings)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            issuer = process.stdout.readline().strip()
            assert issuer, "oidc-provider ended before it listened"
            yield issuer
        finally:
            process.kill()


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[str]:
    """Runs a stand-in on a free port; its address."""
    with listening(HOST, 0) as listener:
        server = Server(uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            server.stop()
            await task


@dataclass
class GithubStandIn:
    """What logging in at GitHub needs of it: two OAuth endpoints with PKCE, and two routes of its API.

    Errors are told with status 200, as GitHub does:
    https://docs.github.com/en/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors
    """

    user: dict[str, Any]
    emails: list[dict[str, Any]]
    codes: dict[str, Mapping[str, str]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)

    def app(self) -> Starlette:
        """Its server."""
        return Starlette(
            routes=[
                Route("/login/oauth/authorize", self._authorize),
                Route("/login/oauth/access_token", self._exchange, methods=["POST"]),
                Route("/api/v3/user", self._told(lambda: self.user)),
                Route("/api/v3/user/emails", self._told(lambda: self.emails)),
            ]
        )

    async def _authorize(self, request: Request) -> Response:
        asked = request.query_params
        assert asked["client_id"] == CLIENT_ID
        code = token_urlsafe()
        self.codes[code] = dict(asked)
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 302)

    async def _exchange(self, request: Request) -> Response:
        sent = dict(parse_qsl((await request.body()).decode()))
        if (sent.get("client_id"), sent.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return JSONResponse({"error": "incorrect_client_credentials"})
        asked = self.codes.pop(sent.get("code", ""), None)
        challenge = urlsafe_b64encode(sha256(sent.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
        if asked is None or asked.get("code_challenge") != challenge or asked["redirect_uri"] != sent["redirect_uri"]:
            return JSONResponse({"error": "bad_verification_code"})
        self.tokens.add(token := f"gho_{token_urlsafe()}")
        return JSONResponse({"access_token": token, "token_type": "bearer", "scope": asked["scope"]})

    def _told(self, what: Callable[[], Any]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
                return JSONResponse({"message": "Bad credentials"}, 401)
            return JSONResponse(what())

        return answer


@dataclass
class LyingProvider:
    """An OpenID Connect provider that says what a test wants: its discovery, its keys and its ID token are settable."""

    claims: dict[str, Any]
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "RS256"})
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    published: list[Key] = field(default_factory=list)
    discovery: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    id_token: str | None = None
    calls: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        """Its server."""
        routes = {
            "/.well-known/openid-configuration": self._discover,
            "/jwks": self._keys,
            "/token": self._tokens,
            "/me": self._userinfo,
        }
        return Starlette(routes=[Route(path, answer, methods=["GET", "POST"]) for path, answer in routes.items()])

    async def _discover(self, request: Request) -> Response:
        base = str(request.base_url).rstrip("/")
        places = {"authorization_endpoint": "/auth", "token_endpoint": "/token", "jwks_uri": "/jwks"}
        found = {"issuer": base, **{name: base + path for name, path in places.items()}, **self.discovery}
        self.calls.append("discovery")
        return JSONResponse({name: value for name, value in found.items() if value is not None})

    async def _keys(self, _: Request) -> Response:
        self.calls.append("jwks")
        return JSONResponse(KeySet(self.published or [self.key]).as_dict(private=False))

    async def _tokens(self, request: Request) -> Response:
        issuer = str(request.base_url).rstrip("/")
        header = {"kid": self.key.kid, **self.header}
        token = self.id_token or jwt.encode(header, {"iss": issuer, **self.claims}, self.key)
        return JSONResponse({"access_token": "at", "token_type": "Bearer", "id_token": token})

    async def _userinfo(self, _: Request) -> Response:
        return JSONResponse(self.userinfo)
