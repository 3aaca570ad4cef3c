"""SQL that finds the login of a token, and its user's place in an organization, in one statement."""

from sqlalchemy import LargeBinary, String, and_, bindparam, select

from aicd_core.db.calls import Call, Prepared
from aicd_core.db.sessions import SystemCourier, SystemReadSession
from aicd_core.ids import OrgId, SessionId, UserId
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.accounts.models import User, UserSession
from aicd_core.tenancy.accounts.values import LoginState
from aicd_core.tenancy.memberships.models import Membership
from aicd_core.tenancy.organizations.models import Organization
from aicd_core.tenancy.permissions import Role
from aicd_core.tenancy.principals.values import Place, SessionPrincipal

_LOGIN = Prepared(
    lambda _: (
        select(
            *(UserSession.user_id, UserSession.id, UserSession.last_used_at),
            *(UserSession.revoked_at, User.deleted_at, UserSession.ends_at, UserSession.idle_until),
            *(Organization.id, Organization.slug, Membership.role),
        )
        .join(User, User.id == UserSession.user_id)
        .outerjoin(
            Organization,
            and_(Organization.slug == bindparam("wanted", type_=String()), Organization.deleted_at.is_(None)),
        )
        .outerjoin(Membership, and_(Membership.org_id == Organization.id, Membership.user_id == User.id))
        .where(UserSession.token_hash == bindparam("hash", type_=LargeBinary()))
    )
)


async def find_login(
    session: SystemReadSession | SystemCourier, token_hash: bytes, slug: str
) -> tuple[SessionPrincipal, LoginState] | None:
    """Whose login a token belongs to, whatever state that is in, and his place in the organization with this slug.

    There is no place for who is no member, nor in a deleted organization; no slug is empty.
    """
    rows = await session.call(Call(_LOGIN, {"hash": token_hash, "wanted": slug}))
    if not rows:
        return None
    user_id, session_id, last_used_at, *state, org_id, found, role = rows[0]
    place = None if role is None else Place(Tenant(OrgId(org_id)), found, Role(role))
    return SessionPrincipal(UserId(user_id), SessionId(session_id), place, last_used_at), LoginState(*state)
