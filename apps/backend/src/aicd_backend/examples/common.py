"""What stands in many examples."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

THEN = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)
LATER = THEN + timedelta(days=7)
BASE_SHA = "9c1185a5c5e9fc54612808977ee8f548b2258d31"
HEAD_SHA = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def an_id(number: int) -> UUID:
    """An id, told apart from others by its number."""
    return UUID(f"01a2156b-39a4-75d0-8000-{number:012d}")


USER, REPOSITORY, JOB, INSTALLATION = (an_id(number) for number in range(1, 5))
