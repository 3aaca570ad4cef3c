"""Which code a schema still fits: migrations say it, the database keeps it, older code asks for it.

Code of level N is code whose newest migration is N. A migration leaves the code of the level before it working; one
that takes away what only older code used says `needs_code = "NNNN"`, the level of the oldest code that it still fits.
"""

import re
from collections.abc import Iterable
from types import ModuleType

FIRST_LEVEL = "0017"
"""Code of this level is the first that asks. Migrations up to it may do anything; what comes after follows the rule."""

_COMMENT = re.compile(r"fits aicd of level (\d{4}) and newer")


def oldest_code_for(applied: Iterable[ModuleType]) -> str:
    """The level of the oldest code that a schema fits which these migrations made."""
    return max((getattr(migration, "needs_code", FIRST_LEVEL) for migration in applied), default=FIRST_LEVEL)


def comment_on(oldest: str) -> str:
    """The statement by which the schema keeps it."""
    return f"COMMENT ON TABLE alembic_version IS 'fits aicd of level {int(oldest):04} and newer'"


def oldest_code_of(comment: str | None) -> str | None:
    """The level that a comment made by `comment_on` holds; None for any other text."""
    found = _COMMENT.fullmatch(comment or "")
    return found[1] if found else None
