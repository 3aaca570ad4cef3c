"""Switching one of the two walls between tenants off, to prove that the other one holds by itself.

The database's wall needs no switch here: row-level security does not hold a superuser, so `Database.connect` with the
superuser's URL has the application's wall alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from sqlalchemy import ColumnElement, true

from aicd_core.db.calls import Prepared
from aicd_core.tenancy import scope


@contextmanager
def without_application_wall() -> Iterator[None]:
    """Queries built within the block are confined to no tenant; what confines them is the database alone."""
    Prepared.forget_all()
    try:
        with patch.object(scope, "_criterion", _everything):
            yield
    finally:
        Prepared.forget_all()


def _everything(*_: object) -> ColumnElement[bool]:
    return true()
