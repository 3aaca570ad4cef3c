"""SQL of invitations."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.dialects.postgresql import insert

from aicd_core.db.pages import Page, PageRequest, cursor_of
from aicd_core.db.sessions import ReadSession, SystemReadSession, WriteSession
from aicd_core.ids import InvitationId, new_uuid
from aicd_core.tenancy import Tenant, mine
from aicd_core.tenancy.invitations.models import Invitation
from aicd_core.tenancy.invitations.values import InvitationView, NewInvitation
from aicd_core.tenancy.organizations.models import Organization

_OPEN: tuple[ColumnElement[bool], ...] = (Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None))


async def insert_invitation(session: WriteSession, tenant: Tenant, new: NewInvitation) -> InvitationView | None:
    """Makes an invitation; None when an open one of the same address is there."""
    row = insert(Invitation).values(id=new_uuid(), org_id=tenant.org_id, **vars(new))
    unless_open = row.on_conflict_do_nothing(
        index_elements=[Invitation.org_id, func.lower(Invitation.email)], index_where=and_(*_OPEN)
    )
    made = (await session.execute(unless_open.returning(Invitation))).scalar_one_or_none()
    return _view(made) if made else None


async def get_invitation(session: ReadSession, tenant: Tenant, invitation_id: InvitationId) -> InvitationView | None:
    """One invitation, or None when the tenant has no such one."""
    query = select(Invitation).where(mine(Invitation, tenant), Invitation.id == invitation_id)
    row = (await session.execute(query.execution_options(populate_existing=True))).scalar_one_or_none()
    return _view(row) if row else None


async def list_invitations(session: ReadSession, tenant: Tenant, page: PageRequest) -> Page[InvitationView]:
    """All invitations, newest first."""
    query, after = select(Invitation).where(mine(Invitation, tenant)), page.after_uuid()
    if after is not None:
        query = query.where(Invitation.id < after)
    rows = (await session.execute(query.order_by(Invitation.id.desc()).limit(page.limit + 1))).scalars().all()
    shown = tuple(_view(row) for row in rows[: page.limit])
    return Page(shown, cursor_of(shown[-1].id) if len(rows) > page.limit else None)


async def revoke_expired(session: WriteSession, tenant: Tenant, email: str, now: datetime) -> None:
    """Closes an address's open invitation that has expired, so that there is room for another one."""
    same = func.lower(Invitation.email) == func.lower(email)
    expired = update(Invitation).where(mine(Invitation, tenant), same, *_OPEN, Invitation.expires_at <= now)
    await session.execute(expired.values(revoked_at=now))


async def revoke_invitation(
    session: WriteSession, tenant: Tenant, invitation_id: InvitationId, now: datetime
) -> InvitationView | None:
    """Closes an open invitation; None when the tenant has no such open one."""
    change = update(Invitation).where(mine(Invitation, tenant), Invitation.id == invitation_id, *_OPEN)
    done = await session.execute(
        change.values(revoked_at=now).returning(Invitation), execution_options={"populate_existing": True}
    )
    row = done.scalar_one_or_none()
    return _view(row) if row else None


async def find_tenant(session: SystemReadSession, token_hash: bytes) -> Tenant | None:
    """Whose invitation a token belongs to, whatever state it is in; None when the organization is deleted."""
    query = (
        select(Invitation.org_id)
        .join(Organization, Organization.id == Invitation.org_id)
        .where(Invitation.token_hash == token_hash, Organization.deleted_at.is_(None))
    )
    org_id = (await session.execute(query)).scalar_one_or_none()
    return None if org_id is None else Tenant(org_id)


async def lock_by_token(session: WriteSession, tenant: Tenant, token_hash: bytes) -> InvitationView | None:
    """The tenant's invitation of a token, held until the transaction ends."""
    query = select(Invitation).where(mine(Invitation, tenant), Invitation.token_hash == token_hash).with_for_update()
    row = (await session.execute(query.execution_options(populate_existing=True))).scalar_one_or_none()
    return _view(row) if row else None


async def mark_accepted(session: WriteSession, tenant: Tenant, invitation_id: InvitationId, now: datetime) -> bool:
    """Closes an open invitation as accepted; False when it was closed before."""
    change = update(Invitation).where(mine(Invitation, tenant), Invitation.id == invitation_id, *_OPEN)
    done = await session.execute(change.values(accepted_at=now).returning(Invitation.id))
    return done.first() is not None


def _view(row: Invitation) -> InvitationView:
    return InvitationView(
        id=row.id,
        email=row.email,
        role=row.role,
        invited_by=row.invited_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        accepted_at=row.accepted_at,
        revoked_at=row.revoked_at,
    )
