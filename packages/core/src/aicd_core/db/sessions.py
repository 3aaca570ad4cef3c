"""Transactions by what they may do: each kind is a type of its own, so that a function says what it needs."""

from sqlalchemy.ext.asyncio import AsyncSession


class ReadSession(AsyncSession):
    """One tenant's read-only transaction. Postgres refuses every write in it."""


class WriteSession(ReadSession):
    """One tenant's transaction."""


class AccountsSession(AsyncSession):
    """A transaction of no tenant: it reaches users, identities and sessions, and no row that has an org_id."""


class SystemReadSession(AsyncSession):
    """A read-only transaction over all tenants, as the system role, with only the grants that it has."""


class SystemSession(SystemReadSession):
    """A transaction over all tenants, as the system role."""
