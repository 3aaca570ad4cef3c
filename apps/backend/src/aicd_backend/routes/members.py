"""Members of an organization, and what each may do."""

from datetime import datetime
from typing import Self
from uuid import UUID

from fastapi import Response
from pydantic import ConfigDict, Field

from aicd_backend.access import Level, needs, secured_router
from aicd_backend.bodies import Answer, Body
from aicd_backend.callers import Here
from aicd_backend.etags import IfMatch, tagged
from aicd_backend.paging import PageOf, PageQuery, page_of
from aicd_backend.problems import RefusedError
from aicd_core.ids import MembershipId
from aicd_core.tenancy.memberships import service
from aicd_core.tenancy.memberships.values import MemberView
from aicd_core.tenancy.permissions import Permission, Role

router = secured_router("members")
MEMBERS = "/organizations/{org}/members"
MEMBER = f"{MEMBERS}/{{member_id}}"


class MemberAnswer(Answer):
    """A person's place in the organization."""

    id: UUID = Field(description="Of the membership.")
    user_id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime
    deleted: bool = Field(description="The person's account was deleted; the place is kept for a return.")

    @classmethod
    def of(cls, view: MemberView) -> Self:
        return cls(**{name: value for name, value in vars(view).items() if name != "revision"})


class RoleEdit(Body):
    """Another role. Nobody gives one that can do more than he can himself."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "developer"}]})

    role: Role = Field(strict=False)


@router.get(MEMBERS, summary="All members, newest first", **needs(Permission.MEMBERS_READ))
async def list_members(here: Here, page: PageQuery) -> PageOf[MemberAnswer]:
    async with here.read() as session:
        return page_of(await service.list_members(session, here.tenant, page), MemberAnswer.of)


@router.get(MEMBER, summary="One member", **needs(Permission.MEMBERS_READ, tagged=True))
async def get_member(here: Here, member_id: UUID, response: Response) -> MemberAnswer:
    async with here.read() as session:
        found = await service.get_member(session, here.tenant, MembershipId(member_id))
    return tagged(response, found, MemberAnswer.of)


@router.patch(MEMBER, summary="Change a member's role", **needs(Permission.MEMBERS_EDIT, edits=True))
async def edit_member(
    here: Here, member_id: UUID, revision: IfMatch, edit: RoleEdit, response: Response
) -> MemberAnswer:
    async with here.write() as session:
        changed = await service.change_role(
            *(session, here.tenant, here.actor, here.powers, MembershipId(member_id), revision, edit.role)
        )
    return tagged(response, changed, MemberAnswer.of)


@router.delete(MEMBER, status_code=204, summary="Take a member out", **needs(Permission.MEMBERS_EDIT))
async def remove_member(here: Here, member_id: UUID) -> None:
    async with here.write() as session:
        await service.remove_member(session, here.tenant, here.actor, here.powers, MembershipId(member_id))


@router.delete(
    "/me/organizations/{org}", status_code=204, summary="Leave an organization", tags=["me"], **needs(Level.PERSON)
)
async def leave_organization(here: Here) -> None:
    async with here.write() as session:
        mine = await service.find_member(session, here.tenant, here.user_id)
        if mine is None:
            raise RefusedError(404, "organization_not_found", "You are no member any more.")
        await service.remove_member(session, here.tenant, here.actor, here.powers, mine.id)
