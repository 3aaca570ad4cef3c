"""SQL of policies."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from aicd_core.db.pages import Page, PageRequest, cursor_of
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.ids import UserId, new_uuid
from aicd_core.tenancy import Tenant, mine
from aicd_core.tenancy.audit.values import JSON
from aicd_core.tenancy.policies.models import Policy
from aicd_core.tenancy.policies.values import PolicyView

MOST_VERSION = 2**31 - 1
"""What the column holds; a forged cursor may say more."""


async def insert_version(
    session: WriteSession, tenant: Tenant, version: int, rules: dict[str, JSON], note: str, created_by: UserId | None
) -> PolicyView | None:
    """Appends a version; None when somebody else's has this number.

    It waits for a transaction that is writing the same number at this moment.
    """
    new = insert(Policy).values(
        id=new_uuid(), org_id=tenant.org_id, version=version, rules=rules, note=note, created_by=created_by
    )
    made = await session.execute(new.on_conflict_do_nothing(index_elements=["org_id", "version"]).returning(Policy))
    row = made.scalar_one_or_none()
    return _view(row) if row else None


async def get_newest(session: ReadSession, tenant: Tenant) -> PolicyView | None:
    """The version that counts; None when the tenant has no policy."""
    query = select(Policy).where(mine(Policy, tenant)).order_by(Policy.version.desc()).limit(1)
    row = (await session.execute(query)).scalar_one_or_none()
    return _view(row) if row else None


async def get_version(session: ReadSession, tenant: Tenant, version: int) -> PolicyView | None:
    """One version; None when the tenant has no such version."""
    query = select(Policy).where(mine(Policy, tenant), Policy.version == version)
    row = (await session.execute(query)).scalar_one_or_none()
    return _view(row) if row else None


async def list_versions(session: ReadSession, tenant: Tenant, page: PageRequest) -> Page[PolicyView]:
    """The tenant's versions, newest first."""
    query = select(Policy).where(mine(Policy, tenant)).order_by(Policy.version.desc()).limit(page.limit + 1)
    if (after := page.after_number()) is not None:
        query = query.where(Policy.version < min(after, MOST_VERSION))
    rows = list((await session.execute(query)).scalars())
    shown = rows[: page.limit]
    more = len(rows) > page.limit
    return Page(tuple(map(_view, shown)), cursor_of(shown[-1].version) if more else None)


def _view(row: Policy) -> PolicyView:
    return PolicyView(row.id, row.version, row.rules, row.note, row.created_by, row.created_at)
