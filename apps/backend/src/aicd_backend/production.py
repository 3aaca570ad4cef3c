"""Settings that are fine on a laptop and unsafe where others depend on them: `AICD_ENV=production` refuses them."""

import base64
import ipaddress
from collections.abc import Iterator

from pydantic import SecretStr
from sqlalchemy.engine import make_url

from aicd_backend.settings import BackendSettings
from aicd_core.errors import InvalidInputError

GUESSED_FIRST = frozenset(
    {"", "admin", "aicd", "aicd_app", "aicd_system", "changeme", "example", "password", "postgres", "secret", "test"}
)
"""Passwords of examples and containers' defaults."""
FEWEST_BYTES = 12
"""Different bytes in a key of 32; a random one has fewer less often than once in 10^12 times."""


def refuse_unsafe(settings: BackendSettings) -> None:
    """Does nothing in development, or when all is safe.

    Raises:
        InvalidInputError: `unsafe_settings`; each with what to do, and no value.
    """
    if settings.env == "production" and (faults := [*unsafe(settings)]):
        listed = "\n".join(f"- {fault}" for fault in faults)
        raise InvalidInputError(
            f"AICD_ENV is production, and these settings are unsafe there:\n{listed}", code="unsafe_settings"
        )


def unsafe(settings: BackendSettings) -> Iterator[str]:
    """A sentence for each setting that is unsafe in production."""
    yield from _database(settings)
    yield from _browsers(settings)
    yield from _keys("AICD_SECRET_KEYS", settings.secret_keys)
    yield from _keys("AICD_SIGNING_KEYS", settings.signing_keys)
    hook = settings.github_webhook_secret
    if hook is not None and hook.get_secret_value().lower() in GUESSED_FIRST:
        yield "AICD_GITHUB_WEBHOOK_SECRET is guessed first: make one with `openssl rand -hex 32`."
    if settings.local_repositories:
        yield "AICD_LOCAL_REPOSITORIES lets every organization read what is on the workers' machines: take it away."
    if any(_is_everybody(proxy) for proxy in settings.trusted_proxies):
        yield "AICD_TRUSTED_PROXIES trusts everybody, so anybody may claim any address: name your proxies."


def _database(settings: BackendSettings) -> Iterator[str]:
    urls = {
        "AICD_DATABASE_URL": settings.database_url,
        "AICD_SYSTEM_DATABASE_URL": settings.system_database_url,
        "AICD_REDIS_URL": settings.redis_url,
    }
    for name, url in urls.items():
        if url is None:
            if name != "AICD_REDIS_URL":
                yield f"{name} is not set, so the database would be an embedded one: set it to your Postgres."
            continue
        password = make_url(url).password
        if isinstance(password, str) and password.lower() in GUESSED_FIRST:
            yield f"{name} has a password that is guessed first: give the role a random one."
    if settings.migration_database_url is not None:
        yield "AICD_MIGRATION_DATABASE_URL is set, and no server needs its rights: keep it for `aicd migrate` alone."


def _browsers(settings: BackendSettings) -> Iterator[str]:
    if not settings.cookie_secure:
        yield "AICD_COOKIE_SECURE is false, so logins would travel in the clear: take it away."
    elif settings.public_url is not None and not settings.public_url.startswith("https://"):
        yield f"AICD_PUBLIC_URL is {settings.public_url}, where no browser keeps a login: use https://."
    for origin in settings.origins:
        if not origin.startswith("https://"):
            yield f"AICD_ORIGINS has {origin}, whose pages anybody on the way can change: use https://."


def _keys(name: str, keys: SecretStr | None) -> Iterator[str]:
    if keys is None:
        yield f'{name} is not set: make one with `echo "k1:$(head -c 32 /dev/urandom | base64)"`, and keep it.'
        return
    for part in keys.get_secret_value().split(","):
        key_id, _, encoded = part.strip().partition(":")
        if len(set(_decoded(encoded))) < FEWEST_BYTES:
            yield f"{name} has a key, {key_id[:20]!r}, that is not random: make another."


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        return b""


def _is_everybody(proxy: str) -> bool:
    try:
        return proxy == "*" or ipaddress.ip_network(proxy, strict=False).prefixlen == 0
    except ValueError:
        return False
