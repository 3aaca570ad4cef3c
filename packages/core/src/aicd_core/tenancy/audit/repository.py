"""SQL of the audit log."""

from sqlalchemy import insert, select

from aicd_core.db.pages import Page, PageRequest, cursor_of
from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.tenancy import Tenant, mine
from aicd_core.tenancy.audit.models import AuditEntry
from aicd_core.tenancy.audit.values import JSON, Actor, AuditFilter, AuditView

EVERYTHING = AuditFilter()
MOST_ID = 2**63 - 1
"""What the column holds; a forged cursor may say more."""


async def add_entry(
    session: WriteSession,
    tenant: Tenant,
    actor: Actor,
    action: str,
    target: tuple[str, str],
    detail: dict[str, JSON],
) -> None:
    """Appends one act; `target` is its kind and id."""
    kind, target_id = target
    await session.execute(
        insert(AuditEntry).values(
            org_id=tenant.org_id,
            actor_kind=actor.kind,
            actor_id=actor.id,
            action=action,
            target_kind=kind,
            target_id=target_id,
            detail=detail,
        )
    )


async def list_entries(
    session: ReadSession, tenant: Tenant, page: PageRequest, only: AuditFilter = EVERYTHING
) -> Page[AuditView]:
    """The tenant's acts, newest first."""
    query = select(AuditEntry).where(mine(AuditEntry, tenant)).order_by(AuditEntry.id.desc()).limit(page.limit + 1)
    if only.actions:
        query = query.where(AuditEntry.action.in_(only.actions))
    named = {"actor_id": only.actor_id, "target_kind": only.target_kind, "target_id": only.target_id}
    query = query.filter_by(**{column: value for column, value in named.items() if value is not None})
    if (after := page.after_number()) is not None:
        query = query.where(AuditEntry.id < min(after, MOST_ID))
    rows = list((await session.execute(query)).scalars())
    more = len(rows) > page.limit
    shown = rows[: page.limit]
    return Page(tuple(map(_view, shown)), cursor_of(shown[-1].id) if more else None)


def _view(row: AuditEntry) -> AuditView:
    return AuditView(
        id=row.id,
        actor=Actor(row.actor_kind, row.actor_id),
        action=row.action,
        target_kind=row.target_kind,
        target_id=row.target_id,
        detail=row.detail,
        created_at=row.created_at,
    )
