"""SQL of standings."""

from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert

from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.tenancy import Tenant, mine
from aicd_core.tenancy.standings.models import StandingRow
from aicd_core.tenancy.standings.values import Limit, Standing, Why


async def find_standing(session: ReadSession, tenant: Tenant) -> Standing | None:
    """How the organization stands; None when nobody ever said anything of it."""
    row = (await session.execute(select(StandingRow).where(mine(StandingRow, tenant)))).scalar_one_or_none()
    return _standing(row) if row else None


async def lock_standing(session: WriteSession, tenant: Tenant) -> Standing | None:
    """As `find_standing`; whoever asks so has the organization's standing alone until the transaction's end."""
    query = select(StandingRow).where(mine(StandingRow, tenant)).with_for_update()
    row = (await session.execute(query.execution_options(populate_existing=True))).scalar_one_or_none()
    return _standing(row) if row else None


async def put_standing(session: WriteSession, tenant: Tenant, new: Standing) -> bool:
    """Says how the organization stands from now on; False when it stood so already."""
    values = {
        "code": new.stopped.code if new.stopped else None,
        "reason": new.stopped.reason if new.stopped else None,
        "pull_requests": new.limit.pull_requests if new.limit else None,
        "limit_code": new.limit.why.code if new.limit else None,
        "limit_reason": new.limit.why.reason if new.limit else None,
        "since": new.since,
        "cost_limit": new.cost_limit,
    }
    put = insert(StandingRow).values(org_id=tenant.org_id, **values)
    differs = or_(*(getattr(StandingRow, name).is_distinct_from(put.excluded[name]) for name in values))
    changed = await session.execute(
        put.on_conflict_do_update(
            index_elements=["org_id"],
            set_={**values, "changed_at": func.now()},
            where=mine(StandingRow, tenant) & differs,
        ).returning(StandingRow.org_id)
    )
    return changed.first() is not None


def _standing(row: StandingRow) -> Standing:
    stopped = Why(row.code, row.reason) if row.code is not None and row.reason is not None else None
    limit = None
    if row.pull_requests is not None and row.limit_code is not None and row.limit_reason is not None:
        limit = Limit(row.pull_requests, Why(row.limit_code, row.limit_reason))
    return Standing(row.since, stopped, limit, row.cost_limit)
