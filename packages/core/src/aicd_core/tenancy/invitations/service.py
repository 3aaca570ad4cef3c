"""Rules of invitations, from the offer to the membership."""

from datetime import datetime, timedelta

from aicd_core.db.pages import Page, PageRequest
from aicd_core.db.sessions import ReadSession, SystemReadSession, WriteSession
from aicd_core.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from aicd_core.ids import InvitationId
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.accounts.emails import require_email, same_email
from aicd_core.tenancy.accounts.values import UserView
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.invitations import repository
from aicd_core.tenancy.invitations.values import InvitationView, NewInvitation, SentInvitation
from aicd_core.tenancy.memberships import repository as memberships
from aicd_core.tenancy.memberships.service import join
from aicd_core.tenancy.memberships.values import MemberView
from aicd_core.tenancy.permissions import Permission, Role, check_give, powers_of_role
from aicd_core.tenancy.tokens import TokenKind, hash_token, new_token, parse_token

LONGEST = timedelta(days=90)
"""An offer that nobody remembers making is a back door."""


async def invite(
    session: WriteSession,
    tenant: Tenant,
    actor: Actor,
    powers: frozenset[Permission],
    email: str,
    role: Role,
    lasts: timedelta,
    now: datetime,
) -> SentInvitation:
    """Offers a membership to whoever owns an address. The link's token is shown here and never again.

    Args:
        powers: all that the actor may do here; nobody offers a role that can do more.
        lasts: for how long the offer stands, 90 days at most.

    Raises:
        ForbiddenError: `role_too_high`.
        ConflictError: `already_member`; `invitation_open`: revoke the one that is there first.
        InvalidInputError: `bad_email` and the like, `bad_duration`.
    """
    check_give(powers, powers_of_role(role), f"The role {role.value}").require("role_too_high")
    require_email(email)
    if not timedelta(0) < lasts <= LONGEST:
        raise InvalidInputError(
            f"An invitation stands for more than nothing and at most {LONGEST.days} days.", code="bad_duration"
        )
    if await memberships.find_member_by_email(session, tenant, email):
        raise ConflictError(f"{email} is a member already. Change the role instead.", code="already_member")
    await repository.revoke_expired(session, tenant, email, now)
    token = new_token(TokenKind.INVITATION)
    new = NewInvitation(email, role, hash_token(token), actor.user_id, now + lasts)
    made = await repository.insert_invitation(session, tenant, new)
    if made is None:
        raise ConflictError(
            f"{email} has an open invitation already. Revoke it first to send another one.", code="invitation_open"
        )
    detail = {"email": email, "role": role.value}
    await record(session, tenant, actor, "invitation.sent", "invitation", str(made.id), detail)
    return SentInvitation(made, token)


async def list_invitations(session: ReadSession, tenant: Tenant, page: PageRequest) -> Page[InvitationView]:
    """All invitations, open and closed, newest first."""
    return await repository.list_invitations(session, tenant, page)


async def revoke_invitation(
    session: WriteSession, tenant: Tenant, actor: Actor, invitation_id: InvitationId, now: datetime
) -> InvitationView:
    """Takes an offer back: its link is worth nothing at once.

    Raises:
        NotFoundError: `invitation_not_found`.
        ConflictError: `invitation_used` or `invitation_revoked`: it is closed already.
    """
    revoked = await repository.revoke_invitation(session, tenant, invitation_id, now)
    if revoked is None:
        found = await repository.get_invitation(session, tenant, invitation_id)
        if found is None:
            raise NotFoundError(f"There is no invitation {invitation_id} here.", code="invitation_not_found")
        _refuse_closed(found)
        raise ConflictError("The invitation changed at this very moment. Try again.")
    await record(session, tenant, actor, "invitation.revoked", "invitation", str(invitation_id))
    return revoked


async def find_tenant(session: SystemReadSession, text: str) -> Tenant:
    """Which organization a link's token invites into; `accept` in that tenant's transaction says the rest.

    Raises:
        UnauthenticatedError: `malformed_token` or `wrong_token_kind`.
        NotFoundError: `invitation_unknown`.
    """
    tenant = await repository.find_tenant(session, hash_token(parse_token(text, TokenKind.INVITATION)))
    if tenant is None:
        raise _unknown()
    return tenant


async def accept(session: WriteSession, tenant: Tenant, user: UserView, text: str, now: datetime) -> MemberView:
    """Makes the user who followed a link a member, and closes the invitation, both or neither.

    Args:
        user: as the accounts' services gave him out, a moment ago.

    Raises:
        UnauthenticatedError: `malformed_token` or `wrong_token_kind`.
        NotFoundError: `invitation_unknown` here, `user_not_found`.
        ConflictError: `invitation_used`, `invitation_revoked`, `invitation_expired`, `already_member`.
        ForbiddenError: `email_unverified`, `email_differs`: only the owner of the address invited may come in.
    """
    token_hash = hash_token(parse_token(text, TokenKind.INVITATION))
    invitation = await repository.lock_by_token(session, tenant, token_hash)
    if invitation is None:
        raise _unknown()
    _refuse_closed(invitation)
    if now >= invitation.expires_at:
        raise ConflictError("The invitation has expired. Ask for another one.", code="invitation_expired")
    _require_address(user, invitation.email)
    actor = Actor(ActorKind.USER, str(user.id))
    member = await join(session, tenant, actor, user, invitation.role)
    await repository.mark_accepted(session, tenant, invitation.id, now)
    await record(session, tenant, actor, "invitation.accepted", "invitation", str(invitation.id))
    return member


def _require_address(user: UserView, wanted: str) -> None:
    if not same_email(user.email, wanted):
        raise ForbiddenError(
            "The invitation is for another e-mail address than your account's. Log in with the account of that "
            "address, or ask to be invited by this one.",
            code="email_differs",
        )
    if not user.email_verified:
        raise ForbiddenError(
            "Your e-mail address is not verified yet. Verify it, then follow the link again.", code="email_unverified"
        )


def _refuse_closed(invitation: InvitationView) -> None:
    if invitation.accepted_at is not None:
        raise ConflictError("The invitation was accepted already.", code="invitation_used")
    if invitation.revoked_at is not None:
        raise ConflictError("The invitation was revoked. Ask for another one.", code="invitation_revoked")


def _unknown() -> NotFoundError:
    return NotFoundError("There is no such invitation. Ask for another one.", code="invitation_unknown")
