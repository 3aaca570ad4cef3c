"""Cursor pagination: pages that neither skip nor repeat a row while others are added."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from aicd_core.errors import InvalidInputError

ItemT = TypeVar("ItemT")

MAX_PAGE = 100
NUMBER_MOST = 2**63 - 1
"""Postgres's bigint."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class PageRequest:
    """Which page is wanted: at most `limit` items, those after `cursor`, an answer's `next_cursor`."""

    limit: int = 20
    cursor: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_PAGE:
            raise InvalidInputError(f"A page has 1 to {MAX_PAGE} items, not {self.limit}.", code="bad_limit")

    def after_uuid(self) -> UUID | None:
        """The id that the page before ended with, for tables keyed by UUID.

        Raises:
            InvalidInputError: the cursor was not made by us.
        """
        try:
            return UUID(bytes=_decode(self.cursor)) if self.cursor is not None else None
        except ValueError as error:
            raise _bad_cursor() from error

    def after_number(self) -> int | None:
        """The same for tables keyed by a number."""
        if self.cursor is None:
            return None
        raw = _decode(self.cursor)
        number = int.from_bytes(raw, "big")
        if len(raw) != 8 or number > NUMBER_MOST:
            raise _bad_cursor()
        return number

    def after_moment(self) -> tuple[datetime, UUID] | None:
        """The same for lists by time, in which the id decides between rows of the same moment."""
        if self.cursor is None:
            return None
        raw = _decode(self.cursor)
        try:
            return _EPOCH + int.from_bytes(raw[:8], "big") * _MICROSECOND, UUID(bytes=raw[8:])
        except (ValueError, OverflowError) as error:
            raise _bad_cursor() from error


@dataclass(frozen=True)
class Page(Generic[ItemT]):
    """Some items, newest first, and the cursor of the page that follows; None when this is the last."""

    items: tuple[ItemT, ...]
    next_cursor: str | None


def cursor_of(key: UUID | int) -> str:
    """The cursor that asks for what comes after the row with this key."""
    raw = key.bytes if isinstance(key, UUID) else key.to_bytes(8, "big")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def cursor_of_moment(when: datetime, key: UUID) -> str:
    """The same for lists by time. `when` is exact to the microsecond, as in the database."""
    raw = ((when - _EPOCH) // _MICROSECOND).to_bytes(8, "big") + key.bytes
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(cursor: str) -> bytes:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad_cursor() from error


def _bad_cursor() -> InvalidInputError:
    return InvalidInputError("The cursor is not one that this list gave out. Begin without one.", code="bad_cursor")
