"""One login from its beginning to the provider's answer: what is kept in the browser meanwhile, and checked. Pure."""

import hmac
import secrets
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Self
from urllib.parse import urlsplit

from starlette.datastructures import QueryParams

from aicd_backend.problems import RefusedError

LASTS = timedelta(minutes=10)
"""So long somebody may take at the provider."""
RETURN_MOST = 1000
_MINUTES = int(LASTS.total_seconds() // 60)
STRANGER = (
    403,
    "login_unknown",
    f"This browser has not begun this login, or more than {_MINUTES} minutes ago, or another one since. Begin again.",
)
NO_ANSWER = (400, "login_answer_unreadable", "That is no answer of a login provider. Begin the login again.")


@dataclass(frozen=True)
class Attempt:
    """A login that a browser has begun; it carries it, sealed, in a cookie.

    `state` ties the provider's answer to this browser, `nonce` the ID token to this login, and `verifier` the code to
    whoever asked for it (RFC 7636).
    """

    provider: str
    state: str
    nonce: str
    verifier: str
    return_to: str

    @classmethod
    def begin(cls, provider: str, return_to: str) -> Self:
        """A new login."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(provider, state, nonce, verifier, return_to)

    def content(self) -> dict[str, Any]:
        """For the seal."""
        return asdict(self)


def safe_return(wanted: str | None, own: str, front_ends: Collection[str]) -> str:
    """Where the browser goes once its user is in: a path of ours, or a page of a front end that is configured.

    Args:
        wanted: what the login was begun with; None: the first front end, or `/v1/me` where there is none.
        own: origin of this server.
        front_ends: origins of the front ends.

    Raises:
        RefusedError: 400, anything else, as it would lead whoever follows a link of ours to wherever its author likes.
    """
    if wanted is None:
        return f"{next(iter(front_ends))}/" if front_ends else "/v1/me"
    # Browsers drop tabs and line breaks from a URL and read \\ as /: https://url.spec.whatwg.org/#url-parsing
    plain = wanted.isascii() and wanted.isprintable() and not {" ", "\\"} & set(wanted)
    if plain and len(wanted) <= RETURN_MOST:
        if wanted.startswith("/") and not wanted.startswith("//"):
            return wanted
        parts = urlsplit(wanted)
        if f"{parts.scheme}://{parts.netloc}" in {own, *front_ends}:
            return wanted
    raise RefusedError(
        400,
        "return_to_refused",
        "return_to must be a path of this server or a page of a front end that AICD_ORIGINS names.",
    )


def code_of_answer(answer: QueryParams, attempt: Attempt, issuer: str | None, *, says_issuer: bool) -> str:
    """The code that a provider sent a browser back with.

    Args:
        issuer: who must have sent it, for a provider that has an issuer; another one's answer is a mix-up attack.
        says_issuer: that provider always says who it is (RFC 9207).

    Raises:
        RefusedError: another login's answer, another provider's, or the provider's own refusal.
    """
    fields = {name: answer.getlist(name) for name in ("state", "code", "iss", "error")}
    if any(len(values) > 1 for values in fields.values()):
        raise RefusedError(*NO_ANSWER)
    state, code, iss, error = (values[0] if values else "" for values in fields.values())
    if not hmac.compare_digest(state.encode(), attempt.state.encode()):
        raise RefusedError(*STRANGER)
    if issuer is not None and (iss or says_issuer) and iss != issuer:
        raise RefusedError(
            403, "login_issuer_differs", "Another provider answered than the one that was asked. Begin the login again."
        )
    if error:
        raise _refusal(error)
    if not code:
        raise RefusedError(*NO_ANSWER)
    return code


def _refusal(error: str) -> RefusedError:
    if error == "access_denied":
        return RefusedError(
            403, "login_denied", "The login was cancelled, or the provider does not let you in here. Begin again."
        )
    shown = error if error.isascii() and error.isidentifier() else "an error that cannot be shown"
    return RefusedError(403, "login_failed", f"The provider did not let the login happen: {shown}. Begin again.")
