"""Invitations: an offer by e-mail address, and a link whose token is shown once, to whoever sends it."""

from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from pydantic import ConfigDict, Field

from aicd_backend.access import Level, needs, secured_router
from aicd_backend.bodies import Answer, Body
from aicd_backend.callers import AnyCaller, Here
from aicd_backend.paging import PageOf, PageQuery, page_of
from aicd_backend.routes.members import MemberAnswer
from aicd_core.ids import InvitationId
from aicd_core.tenancy.accounts.emails import EMAIL_MOST
from aicd_core.tenancy.accounts.service import get_user
from aicd_core.tenancy.invitations import service
from aicd_core.tenancy.invitations.values import InvitationView
from aicd_core.tenancy.permissions import Permission, Role

router = secured_router("invitations")
INVITATIONS = "/organizations/{org}/invitations"


class InvitationAnswer(Answer):
    """An invitation, without its link's token."""

    id: UUID
    email: str
    role: Role
    invited_by: UUID | None = Field(description="A user; null for an API key.")
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, view: InvitationView) -> Self:
        return cls(**vars(view))


class SentInvitationAnswer(Answer):
    """A new invitation, and the token for its link, which is never shown again."""

    invitation: InvitationAnswer
    token: str = Field(examples=["aicd_inv_…"])


class InvitationBody(Body):
    """Whom to invite, as what."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "ada@example.org", "role": "developer", "days": 7}]}
    )

    email: str = Field(min_length=3, max_length=EMAIL_MOST)
    role: Role = Field(strict=False)
    days: int = Field(default=7, ge=1, le=service.LONGEST.days, description="So long the offer stands.")


class AcceptanceBody(Body):
    """The token of the link that was followed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"token": "aicd_inv_…"}]})

    token: str = Field(max_length=200)


@router.get(INVITATIONS, summary="All invitations, newest first", **needs(Permission.MEMBERS_EDIT))
async def list_invitations(here: Here, page: PageQuery) -> PageOf[InvitationAnswer]:
    async with here.read() as session:
        return page_of(await service.list_invitations(session, here.tenant, page), InvitationAnswer.of)


@router.post(INVITATIONS, status_code=201, summary="Invite somebody", **needs(Permission.MEMBERS_EDIT, once=True))
async def create_invitation(here: Here, new: InvitationBody) -> SentInvitationAnswer:
    lasts = timedelta(days=new.days)
    async with here.write() as session:
        sent = await service.invite(
            *(session, here.tenant, here.actor, here.powers, new.email, new.role, lasts, here.now)
        )
    return SentInvitationAnswer(invitation=InvitationAnswer.of(sent.invitation), token=sent.token.reveal())


@router.delete(
    f"{INVITATIONS}/{{invitation_id}}", status_code=204, summary="Take it back", **needs(Permission.MEMBERS_EDIT)
)
async def revoke_invitation(here: Here, invitation_id: UUID) -> None:
    async with here.write() as session:
        await service.revoke_invitation(session, here.tenant, here.actor, InvitationId(invitation_id), here.now)


@router.post("/invitations/accept", summary="Become a member", **needs(Level.PERSON))
async def accept_invitation(caller: AnyCaller, given: AcceptanceBody) -> MemberAnswer:
    stores = caller.stores
    async with stores.system.read() as system:
        tenant = await service.find_tenant(system, given.token)
    async with stores.database.accounts() as accounts:
        user = await get_user(accounts, caller.user_id)
    async with stores.database.write(tenant) as session:
        return MemberAnswer.of(await service.accept(session, tenant, user, given.token, caller.now))
