"""Invitations, from the offer to the membership."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from aicd_core.db.database import Database, SystemDatabase
from aicd_core.db.pages import PageRequest
from aicd_core.errors import AicdError, ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from aicd_core.ids import InvitationId, new_uuid
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.accounts.service import create_user
from aicd_core.tenancy.accounts.values import UserFields, UserView
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.repository import list_entries
from aicd_core.tenancy.audit.values import Actor
from aicd_core.tenancy.invitations import service
from aicd_core.tenancy.invitations.values import SentInvitation
from aicd_core.tenancy.memberships.service import add_member, list_members
from aicd_core.tenancy.memberships.values import MemberView
from aicd_core.tenancy.permissions import EVERYTHING, Role, powers_of_role
from aicd_core.tenancy.tokens import TokenKind, new_token

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
SYSTEM = Actor(ActorKind.SYSTEM, "test")
EMAIL = "ada@example.com"


@pytest.fixture
async def ada(database: Database) -> UserView:
    async with database.accounts() as session:
        return await create_user(session, UserFields(EMAIL, True, "Ada"))


async def invite(
    database: Database, tenant: Tenant, email: str = EMAIL, role: Role = Role.DEVELOPER, now: datetime = NOW, **more
) -> SentInvitation:
    actor, powers, lasts = more.get("actor", SYSTEM), more.get("powers", EVERYTHING), more.get("lasts", WEEK)
    async with database.write(tenant) as session:
        return await service.invite(session, tenant, actor, powers, email, role, lasts, now)


async def accept(
    database: Database, tenant: Tenant, user: UserView, sent: SentInvitation, now: datetime = NOW
) -> MemberView:
    async with database.write(tenant) as session:
        return await service.accept(session, tenant, user, sent.token.reveal(), now)


async def revoke(database: Database, tenant: Tenant, invitation_id: InvitationId):
    async with database.write(tenant) as session:
        return await service.revoke_invitation(session, tenant, SYSTEM, invitation_id, NOW)


async def refused(work, kind: type[AicdError], code: str) -> None:
    with pytest.raises(kind) as caught:
        await work
    assert caught.value.code == code


async def test_who_follows_his_link_becomes_a_member(
    database: Database, system: SystemDatabase, tenant: Tenant, rival: Tenant, ada: UserView
):
    await invite(database, rival)
    sent = await invite(database, tenant)
    async with system.read() as session:
        found = await service.find_tenant(session, sent.token.reveal())
    assert found == tenant
    member = await accept(database, found, ada, sent)
    assert (member.user_id, member.role, member.email) == (ada.id, Role.DEVELOPER, EMAIL)
    async with database.read(tenant) as session:
        (closed,) = (await service.list_invitations(session, tenant, PageRequest())).items
        entries = (await list_entries(session, tenant, PageRequest())).items
    assert (closed.accepted_at, closed.revoked_at) == (NOW, None)
    assert [(one.action, one.actor.id) for one in entries] == [
        ("invitation.accepted", str(ada.id)),
        ("member.added", str(ada.id)),
        ("invitation.sent", "test"),
    ]


async def test_a_link_is_good_once(database: Database, tenant: Tenant, ada: UserView):
    sent = await invite(database, tenant)
    results = await asyncio.gather(*(accept(database, tenant, ada, sent) for _ in range(4)), return_exceptions=True)
    assert [type(result) for result in results].count(MemberView) == 1
    assert {result.code for result in results if isinstance(result, ConflictError)} == {"invitation_used"}
    await refused(accept(database, tenant, ada, sent, NOW + 2 * WEEK), ConflictError, "invitation_used")


async def test_a_link_ends_with_its_time(database: Database, tenant: Tenant, ada: UserView):
    sent = await invite(database, tenant)
    await refused(accept(database, tenant, ada, sent, NOW + WEEK), ConflictError, "invitation_expired")
    assert await accept(database, tenant, ada, sent, NOW + WEEK - timedelta(microseconds=1))


async def test_a_revoked_link_is_worth_nothing(database: Database, tenant: Tenant, ada: UserView):
    sent = await invite(database, tenant)
    revoked = await revoke(database, tenant, sent.invitation.id)
    assert revoked == replace(sent.invitation, revoked_at=NOW)
    await refused(accept(database, tenant, ada, sent), ConflictError, "invitation_revoked")
    await refused(revoke(database, tenant, sent.invitation.id), ConflictError, "invitation_revoked")
    await refused(revoke(database, tenant, InvitationId(new_uuid())), NotFoundError, "invitation_not_found")


async def test_a_used_invitation_is_not_revoked(database: Database, tenant: Tenant, ada: UserView):
    sent = await invite(database, tenant)
    await accept(database, tenant, ada, sent)
    await refused(revoke(database, tenant, sent.invitation.id), ConflictError, "invitation_used")


@pytest.mark.parametrize(
    ("email", "verified", "code"),
    [
        ("bob@example.com", True, "email_differs"),
        ("ad\u0131@example.com", True, "email_differs"),
        (EMAIL, False, "email_unverified"),
    ],
)
async def test_only_the_proven_owner_of_the_address_comes_in(
    database: Database, tenant: Tenant, ada: UserView, email: str, verified: bool, code: str
):
    sent = await invite(database, tenant)
    other = replace(ada, email=email, email_verified=verified)
    await refused(accept(database, tenant, other, sent), ForbiddenError, code)
    async with database.read(tenant) as session:
        assert (await list_members(session, tenant, PageRequest())).items == ()
    assert await accept(database, tenant, replace(ada, email="ADA@example.COM"), sent)


async def test_a_member_needs_no_invitation(database: Database, tenant: Tenant, ada: UserView):
    sent = await invite(database, tenant)
    async with database.write(tenant) as session:
        await add_member(session, tenant, SYSTEM, EVERYTHING, ada, Role.VIEWER)
    await refused(invite(database, tenant, "ADA@example.com"), ConflictError, "already_member")
    await refused(accept(database, tenant, ada, sent), ConflictError, "already_member")


async def test_an_address_has_one_open_invitation_in_each_organization(
    database: Database, tenant: Tenant, rival: Tenant
):
    first = await invite(database, tenant)
    await invite(database, rival)
    await refused(invite(database, tenant, "Ada@Example.com"), ConflictError, "invitation_open")
    await revoke(database, tenant, first.invitation.id)
    assert await invite(database, tenant)


async def test_an_expired_invitation_makes_room_for_another(database: Database, tenant: Tenant, ada: UserView):
    old = await invite(database, tenant)
    await refused(invite(database, tenant, now=NOW + WEEK / 2), ConflictError, "invitation_open")
    new = await invite(database, tenant, now=NOW + WEEK)
    await refused(accept(database, tenant, ada, old, NOW + WEEK), ConflictError, "invitation_revoked")
    assert await accept(database, tenant, ada, new, NOW + WEEK)


@pytest.mark.parametrize("giver", Role)
async def test_nobody_offers_a_role_that_can_do_more_than_himself(database: Database, tenant: Tenant, giver: Role):
    powers = powers_of_role(giver)
    for role in Role:
        offer = invite(database, tenant, f"{role.value}@example.com", role, powers=powers)
        if powers_of_role(role) <= powers:
            assert (await offer).invitation.role is role
        else:
            await refused(offer, ForbiddenError, "role_too_high")


@pytest.mark.parametrize("lasts", [timedelta(0), -WEEK, timedelta(days=91)])
async def test_an_invitation_stands_neither_for_no_time_nor_for_ever(
    database: Database, tenant: Tenant, lasts: timedelta
):
    await refused(invite(database, tenant, lasts=lasts), InvalidInputError, "bad_duration")


@pytest.mark.parametrize("email", ["ada", "a b@example.com", "ada\u202e@example.com"])
async def test_what_is_no_address_is_not_invited(database: Database, tenant: Tenant, email: str):
    await refused(invite(database, tenant, email), InvalidInputError, "bad_email")


async def test_the_list_goes_page_by_page_and_shows_who_invited(database: Database, tenant: Tenant, ada: UserView):
    by_ada = Actor(ActorKind.USER, str(ada.id))
    sent = [await invite(database, tenant, f"{name}@example.com", actor=by_ada) for name in ("bob", "cy", "di")]
    async with database.read(tenant) as session:
        first = await service.list_invitations(session, tenant, PageRequest(limit=2))
        rest = await service.list_invitations(session, tenant, PageRequest(limit=2, cursor=first.next_cursor))
    assert [*first.items, *rest.items] == [one.invitation for one in reversed(sent)]
    assert {one.invited_by for one in first.items} == {ada.id}


async def test_a_link_that_nobody_sent_or_of_a_deleted_organization_leads_nowhere(
    database: Database, system: SystemDatabase, tenant: Tenant, rival: Tenant, ada: UserView
):
    sent = await invite(database, tenant)

    async def find(token: str) -> Tenant:
        async with system.read() as session:
            return await service.find_tenant(session, token)

    await refused(find(new_token(TokenKind.INVITATION).reveal()), NotFoundError, "invitation_unknown")
    await refused(find(new_token(TokenKind.API_KEY).reveal()), AicdError, "wrong_token_kind")
    await refused(accept(database, rival, ada, sent), NotFoundError, "invitation_unknown")
    async with database.write(tenant) as session:
        await session.execute(text("UPDATE organizations SET deleted_at = now()"))
    await refused(find(sent.token.reveal()), NotFoundError, "invitation_unknown")


async def test_the_token_is_stored_nowhere(database: Database, tenant: Tenant):
    sent = await invite(database, tenant)
    secret = sent.token.reveal()
    async with database.read(tenant) as session:
        for table in ("invitations", "audit_log"):
            stored = (await session.execute(text(f"SELECT string_agg(t::text, ' ') FROM {table} t"))).scalar_one()
            assert secret not in stored
            assert secret.encode().hex() not in stored
    assert secret not in repr(sent)
