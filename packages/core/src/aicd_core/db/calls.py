"""Statements that are compiled once and then run in one round trip, each its own transaction (`Database.call`).

A session costs a message for the transaction's beginning, one for each statement and one for its end, and SQLAlchemy's
work on top; what every job does again and again, its transitions and leases, goes this way instead. The same `Call` can
be executed in a session, as part of a larger transaction.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from sqlalchemy import Compiled, Dialect, Executable, Uuid, bindparam
from sqlalchemy.dialects.postgresql.psycopg import PGDialectAsync_psycopg

from aicd_core.contracts.tenant import Tenant
from aicd_core.ids import OrgId

_DIALECT = cast("Callable[..., Dialect]", PGDialectAsync_psycopg)(paramstyle="numeric_dollar")
"""Parameters as Postgres itself has them: `$1`, `$2`, …"""
_OF_TENANT = "of_tenant"

BOUND = Tenant(cast("OrgId", bindparam(_OF_TENANT, type_=Uuid())))
"""Stands for the tenant while a statement is built; the real one is bound when it runs."""


class Prepared:
    """A statement by name of what it does, built and compiled when it is first used.

    Args:
        build: makes the statement for a tenant; parameters are `bindparam`s, with plain types (text, numbers, UUIDs).
    """

    everyone: "list[Prepared]" = []  # noqa: RUF012 # the register of all, for `forget_all`

    def __init__(self, build: Callable[[Tenant], Executable]) -> None:
        self._build = build
        self.everyone.append(self)

    @cached_property
    def statement(self) -> Executable:
        return self._build(BOUND)

    @cached_property
    def compiled(self) -> Compiled:
        return cast("Compiled", cast("Any", self.statement).compile(dialect=_DIALECT))

    @cached_property
    def constants(self) -> Mapping[str, Any]:
        """Parameters whose value is part of the statement."""
        return {name: value for name, value in dict(self.compiled.params or {}).items() if value is not None}

    @cached_property
    def sql(self) -> bytes:
        """The statement as Postgres takes it."""
        return self.compiled.string.encode()

    @cached_property
    def order(self) -> Sequence[str]:
        """The names of the parameters `$1`, `$2`, …"""
        return tuple(cast("Any", self.compiled).positiontup or ())

    @classmethod
    def forget_all(cls) -> None:
        """Has every statement built anew; for tests that take a wall away."""
        for prepared in cls.everyone:
            for built in ("statement", "compiled", "constants", "sql", "order"):
                prepared.__dict__.pop(built, None)


@dataclass(frozen=True)
class Call:
    """A prepared statement with the values of its parameters."""

    prepared: Prepared
    values: Mapping[str, Any]

    @property
    def parameters(self) -> list[Any]:
        """All parameters in the statement's order."""
        values = {**self.prepared.constants, **self.values}
        return [values[name] for name in self.prepared.order]

    @classmethod
    def of(cls, prepared: Prepared, tenant: Tenant, **values: Any) -> "Call":
        """A call on a tenant's rows."""
        return cls(prepared, {_OF_TENANT: tenant.org_id, **values})
