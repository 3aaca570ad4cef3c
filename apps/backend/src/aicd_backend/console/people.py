"""Members and invitations."""

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from aicd_backend.access import Level
from aicd_backend.callers import AnyCaller, Here, TenantCaller
from aicd_backend.console.forms import Form, Posted, body_of
from aicd_backend.console.pages import at, form_page, go, page, refused
from aicd_backend.console.routing import console_router, sees
from aicd_backend.csrf import own_origin
from aicd_backend.etags import revision_of
from aicd_backend.problems import Problem, RefusedError
from aicd_backend.routes.auth import list_login_providers
from aicd_backend.routes.invitations import (
    AcceptanceBody,
    InvitationBody,
    SentInvitationAnswer,
    accept_invitation,
    create_invitation,
    list_invitations,
    revoke_invitation,
)
from aicd_backend.routes.members import RoleEdit, edit_member, get_member, list_members, remove_member
from aicd_core.db.pages import PageRequest
from aicd_core.errors import AicdError, InvalidInputError
from aicd_core.tenancy.permissions import Permission, Role

router = console_router()
MEMBERS = "/console/{org}/members"
SHOWN = 50
NOTHING_TYPED = Form({})


@router.get(MEMBERS, **sees(Permission.MEMBERS_READ))
async def show_members(request: Request, here: Here, cursor: str | None = None) -> Response:
    return await _members(request, here, cursor)


@router.get(f"{MEMBERS}/{{member_id}}", **sees(Permission.MEMBERS_READ))
async def show_member(request: Request, here: Here, member_id: UUID) -> Response:
    tagged = Response()
    member = await get_member(here, member_id, tagged)
    return page(request, "member.html", member=member, roles=list(Role), revision=revision_of(tagged))


@router.post(f"{MEMBERS}/{{member_id}}", **sees(Permission.MEMBERS_EDIT))
async def change_member(here: Here, member_id: UUID, form: Posted) -> Response:
    await edit_member(here, member_id, form.revision(), RoleEdit(role=_role(form.text("role"))), Response())
    return go(at(here, "members", member_id), "saved")


@router.post(f"{MEMBERS}/{{member_id}}/remove", **sees(Permission.MEMBERS_EDIT))
async def take_out(here: Here, member_id: UUID, form: Posted) -> Response:  # noqa: ARG001 - its token is checked
    await remove_member(here, member_id)
    return go(at(here, "members"), "removed")


@router.post(f"{MEMBERS}/invite/new", **sees(Permission.MEMBERS_EDIT))
async def invite(request: Request, here: Here, form: Posted) -> Response:
    try:
        days = form.number("days", "Days")
        new = body_of(
            InvitationBody, email=form.text("email"), role=_role(form.text("role")), days=7 if days is None else days
        )
        sent = await create_invitation(here, new)
    except (AicdError, RefusedError) as error:
        return await _members(request, here, None, form, fault=refused(request, error))
    return await _members(request, here, None, sent=sent)


@router.post(f"{MEMBERS}/invite/{{invitation_id}}/revoke", **sees(Permission.MEMBERS_EDIT))
async def take_back(here: Here, invitation_id: UUID, form: Posted) -> Response:  # noqa: ARG001 - its token is checked
    await revoke_invitation(here, invitation_id)
    return go(at(here, "members"), "revoked")


@router.get("/console-invitation", **sees(Level.PERSON))
async def show_invitation(request: Request) -> Response:
    """Where the link of an invitation leads. The token is behind `#`, so that no log and no proxy has it."""
    return page(request, "invitation.html")


@router.post("/console-invitation", **sees(Level.PERSON))
async def accept(caller: AnyCaller, form: Posted) -> Response:
    await accept_invitation(caller, AcceptanceBody(token=form.text("invitation")[:200]))
    return go("/console")


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise InvalidInputError("Choose a role of the list.") from None


async def _members(
    request: Request,
    here: TenantCaller,
    cursor: str | None,
    form: Form = NOTHING_TYPED,
    *,
    sent: SentInvitationAnswer | None = None,
    fault: Problem | None = None,
) -> Response:
    found = await list_members(here, PageRequest(SHOWN, cursor))
    edits = Permission.MEMBERS_EDIT in here.powers
    invitations = (await list_invitations(here, PageRequest(SHOWN))).items if edits else ()
    origin = own_origin(request, here.stores.settings)
    link = f"{origin}/console-invitation#{sent.token}" if sent else ""
    return form_page(
        *(request, "members.html", fault),
        members=found.items,
        next_cursor=found.next_cursor,
        invitations=[each for each in invitations if each.accepted_at is None and each.revoked_at is None],
        roles=list(Role),
        link=link,
        sent=sent,
        can_log_in=bool(await list_login_providers(request)),
        form=form,
    )
