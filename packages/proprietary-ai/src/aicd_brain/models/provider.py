"""What an adapter to a vendor's API does, and how it says what went wrong."""

from enum import StrEnum
from typing import Any, Protocol

from aicd_brain.models.messages import Reply, Request, Tokens

Wire = dict[str, Any]
"""JSON as the vendor's API speaks it."""


class Provider(Protocol):
    """One API of one vendor. `body` and `reply` are pure: the same in, the same out."""

    name: str
    """The vendor, as OpenTelemetry names it (`gen_ai.provider.name`)."""

    def body(self, request: Request) -> Wire:
        """The request as the API takes it."""
        ...

    def reply(self, wire: Wire) -> Reply:
        """What the API answered, in neutral form."""
        ...

    async def send(self, body: Wire) -> Wire:
        """Sends one request, once, and gives the whole answer when it is there; cancelling it closes the connection.

        Raises:
            ProviderError: there is no answer that can be used.
        """
        ...

    async def close(self) -> None:
        """Closes all connections."""
        ...


class Fault(StrEnum):
    """Why a call has no answer."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    UNREACHABLE = "unreachable"
    CUT_OFF = "cut_off"
    TOO_LONG = "too_long"
    KEY_REFUSED = "key_refused"
    REQUEST_REFUSED = "request_refused"


PASSING = frozenset({Fault.RATE_LIMITED, Fault.OVERLOADED, Fault.UNREACHABLE, Fault.CUT_OFF})
"""Faults that may be gone when the same request is sent again."""


class ProviderError(Exception):
    """A call failed.

    Args:
        detail: in the vendor's words.
        retry_after: seconds that the vendor asks to wait.
        tokens: what had been counted before it failed, which the vendor may charge.
    """

    def __init__(
        self, fault: Fault, detail: str, *, retry_after: float | None = None, tokens: Tokens | None = None
    ) -> None:
        super().__init__(f"{fault.value}: {detail}")
        self.fault = fault
        self.detail = detail
        self.retry_after = retry_after
        self.tokens = tokens or Tokens()


TOO_LONG_WORDS = (
    "prompt is too long",
    "context_length_exceeded",
    "context length",
    "context window",
    "too many tokens",
)
"""How servers say that a prompt does not fit; OpenAI's own has a code, the compatible ones have only words."""
NO_MONEY_WORDS = ("insufficient_quota", "credit balance", "billing")
"""How vendors say that the account, not the moment, is the reason."""


def fault_of_status(status: int, detail: str) -> Fault:
    """What an HTTP status and the words with it mean.

    529 is Anthropic's `overloaded_error` (https://docs.claude.com/en/api/errors).
    """
    words = detail.lower()
    if status == 413 or (status == 400 and any(word in words for word in TOO_LONG_WORDS)):
        return Fault.TOO_LONG
    if status in {401, 402, 403} or any(word in words for word in NO_MONEY_WORDS):
        return Fault.KEY_REFUSED
    if status == 429:
        return Fault.RATE_LIMITED
    if status in {408, 409} or status >= 500:
        return Fault.OVERLOADED
    return Fault.REQUEST_REFUSED


def retry_after_of(value: str | None) -> float | None:
    """Seconds of a `retry-after` header; None when there is none, or it is a date."""
    try:
        return max(0.0, float(value)) if value is not None else None
    except ValueError:
        return None
