"""How many requests an address and a credential may send, counted in Redis where there is one, else in this process.

The headers are those of https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (draft 10).
"""

import hashlib
import ipaddress
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aicd_backend.problems import make_problem, problem_response
from aicd_backend.request_id import request_id_of
from aicd_backend.settings import BackendSettings

logger = logging.getLogger(__name__)

UNCOUNTED = ("/healthz", "/readyz", "/webhooks/")
"""Who asks for health is the operator's own machine, and deliveries are counted by their signatures."""
LOGIN = re.compile(r"/v1/auth/[^/]+/(login|callback)|/v1/oauth/token|/login/key")
"""Where people and programs prove who they are: each try costs a provider's answer or a query, or is a guess."""
PATIENCE = 1.0
"""Seconds that a request waits for Redis before it is let in uncounted."""
_FROM = {"address": "from this address", "credential": "from this credential", "login": "to log in, from this address"}
IPV6_PREFIX = 64
"""Bits of an IPv6 address that say whose it is; one subscriber has all addresses behind them (RFC 6177)."""


@dataclass(frozen=True)
class Counted:
    """One count of a request: the policy's name, its limit, and of whom."""

    policy: str
    limit: RateLimitItem
    subject: str


@dataclass(frozen=True)
class Standing:
    """How a count stands after a request."""

    counted: Counted
    allowed: bool
    remaining: int
    reset: int
    """Seconds until it may go on as before."""


class Counts:
    """Where requests are counted. Nothing is connected before the first one."""

    def __init__(self, redis_url: str | None) -> None:
        patience = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE, "retry": Retry(NoBackoff(), 0)}
        self._pool = ConnectionPool.from_url(redis_url, **patience) if redis_url else None
        self.storage: Storage = MemoryStorage()
        if redis_url:
            self.storage = RedisStorage(
                f"async+{redis_url}",
                wrap_exceptions=True,
                implementation="redispy",
                key_prefix="aicd-limits",
                connection_pool=self._pool,  # type: ignore[arg-type] # an option that its annotation does not name
            )

    async def close(self) -> None:
        """Closes every connection."""
        if self._pool is not None:
            await self._pool.disconnect()


class RateLimitMiddleware:
    """Answers 429 to whoever sends more than his address or his credential may, and tells everybody what is left.

    The credential is counted before anybody has looked whether it is good: a wrong one costs no query when its sender's
    address has tried too often. Redis being away stops nobody.
    """

    def __init__(self, app: ASGIApp, settings: BackendSettings, counts: Counts) -> None:
        self._app = app
        self._per_address = RateLimitItemPerMinute(settings.rate_limit_address)
        self._per_credential = RateLimitItemPerMinute(settings.rate_limit_credential)
        self._per_login = RateLimitItemPerMinute(settings.rate_limit_login)
        self._cookie = settings.session_cookie
        self._limiter = SlidingWindowCounterRateLimiter(counts.storage)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(UNCOUNTED):
            await self._app(scope, receive, send)
            return
        standings = await self._count(scope)
        headers = _headers(standings)
        refused = next((standing for standing in standings if not standing.allowed), None)
        if refused is not None:
            detail = f"Too many requests {_FROM[refused.counted.policy]}. Wait {refused.reset} s."
            problem = make_problem(429, request_id_of(scope), detail=detail)
            await problem_response(problem, {**headers, "Retry-After": str(refused.reset)})(scope, receive, send)
            return

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self._app(scope, receive, send_counted)

    async def _count(self, scope: Scope) -> list[Standing]:
        standings: list[Standing] = []
        try:
            for counted in self._counts(scope):
                standings.append(await self._hit(counted))
                if not standings[-1].allowed:
                    break
        except StorageError as error:
            logger.warning("Requests are not counted: %s", error.storage_error)
        return standings

    async def _hit(self, counted: Counted) -> Standing:
        allowed = await self._limiter.hit(counted.limit, counted.policy, counted.subject)
        stats = await self._limiter.get_window_stats(counted.limit, counted.policy, counted.subject)
        return Standing(counted, allowed, stats.remaining, max(1, round(stats.reset_time - time.time())))

    def _counts(self, scope: Scope) -> Iterator[Counted]:
        address = subject_of_address(_client_of(scope))
        yield Counted("address", self._per_address, address)
        if LOGIN.fullmatch(scope["path"]):
            yield Counted("login", self._per_login, address)
        credential = _credential(Headers(scope=scope), self._cookie)
        if credential is not None:
            yield Counted("credential", self._per_credential, hashlib.sha256(credential.encode()).hexdigest()[:32])


def _client_of(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def subject_of_address(address: str) -> str:
    """Whose address it is: of IPv6 the network alone."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), IPV6_PREFIX), strict=False))
    return str(parsed)


def _credential(headers: Headers, cookie: str) -> str | None:
    if (authorization := headers.get("Authorization")) is not None:
        return authorization
    try:
        found = SimpleCookie(headers.get("Cookie", "")).get(cookie)
    except CookieError:
        return None
    return found.value if found else None


def _headers(standings: list[Standing]) -> dict[str, str]:
    if not standings:
        return {}
    policies = (f'"{s.counted.policy}";q={s.counted.limit.amount};w={s.counted.limit.get_expiry()}' for s in standings)
    left = (f'"{s.counted.policy}";r={s.remaining};t={s.reset}' for s in standings)
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(left)}
