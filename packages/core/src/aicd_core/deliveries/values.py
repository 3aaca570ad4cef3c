"""Deliveries as the rest of the program sees them: frozen, detached from the database."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias

from aicd_core.deliveries.models import DeliveryState
from aicd_core.ids import DeliveryId, OrgId

UNROUTED = "unrouted"
"""Code of a delivery that no organization wanted; when the source sends it again, it is looked at again."""


@dataclass(frozen=True)
class NewDelivery:
    """A verified message as it came in.

    Args:
        source: what kind of sender it is from, such as `github`; the next three are its words.
        external_id: the sender's id of the delivery, the same when it is sent again.
        event: what kind of message it is.
        body: exactly as it was sent.
        host: the sender's API as `installations.host` has it.
        installation: the sender's number of the installation; None where it names none.
        subject: what it is about, for the order of handling; None where any order will do.
        traceparent: the span that took it in, where that is traced.
    """

    source: str
    external_id: str
    event: str
    body: bytes
    host: str
    installation: int | None = None
    subject: str | None = None
    traceparent: str | None = None

    @cached_property
    def body_hash(self) -> bytes:
        """SHA-256 of the body: the same message under another id is known by it."""
        return hashlib.sha256(self.body).digest()


class Stored(StrEnum):
    """What became of a message that came in."""

    NEW = "stored"
    REPEATED = "repeated"
    REOPENED = "reopened"


@dataclass(frozen=True)
class DeliveryView:
    """A delivery that was taken to be handled; `attempts` counts this time, too."""

    id: DeliveryId
    org_id: OrgId | None
    source: str
    external_id: str
    event: str
    installation: int | None
    subject: str | None
    body: bytes
    attempts: int
    received_at: datetime
    traceparent: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How the handling of a delivery ended, and whose it turned out to be."""

    state: DeliveryState
    code: str | None = None
    reason: str | None = None
    org_id: OrgId | None = None


HANDLED = Outcome(DeliveryState.HANDLED)


def ignored(code: str, reason: str) -> Outcome:
    """On purpose nothing was done: a stable code and a sentence that says why."""
    return Outcome(DeliveryState.IGNORED, code, reason)


def failed(code: str, reason: str) -> Outcome:
    """It could not be done, and is not tried again."""
    return Outcome(DeliveryState.FAILED, code, reason)


Handle: TypeAlias = Callable[[DeliveryView], Awaitable[Outcome]]
"""Does what a delivery asks for. It is called again for the same one (`DeliveryView.id`) after a crash or an error, so
each of its effects must be found again before it is repeated."""
