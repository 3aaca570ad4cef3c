"""A person's own logins: where they came from, and an end to them."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import Field

from aicd_backend.access import Level, needs, secured_router
from aicd_backend.bodies import Answer
from aicd_backend.callers import AnyCaller
from aicd_backend.paging import PageOf, PageQuery, page_of
from aicd_core.ids import SessionId
from aicd_core.tenancy.accounts import logins
from aicd_core.tenancy.accounts.values import SessionView

router = secured_router("sessions")
SESSIONS = "/me/sessions"


class SessionAnswer(Answer):
    """A login that is still good."""

    id: UUID
    current: bool = Field(description="The one that asks.")
    user_agent: str
    address: str
    created_at: datetime
    last_used_at: datetime = Field(description="To the minute.")
    idle_until: datetime = Field(description="It ends then if it is not used.")
    ends_at: datetime = Field(description="It ends then at the latest.")

    @classmethod
    def of(cls, view: SessionView, current: SessionId) -> Self:
        return cls(
            id=view.id,
            current=view.id == current,
            user_agent=view.client.user_agent,
            address=view.client.address,
            created_at=view.created_at,
            last_used_at=view.last_used_at,
            idle_until=view.idle_until,
            ends_at=view.ends_at,
        )


@router.get(SESSIONS, summary="My logins, newest first", **needs(Level.PERSON))
async def list_sessions(caller: AnyCaller, page: PageQuery) -> PageOf[SessionAnswer]:
    async with caller.stores.database.accounts() as accounts:
        found = await logins.list_sessions(accounts, caller.user_id, page, caller.now)
    return page_of(found, lambda view: SessionAnswer.of(view, caller.session_id))


@router.delete(f"{SESSIONS}/{{session_id}}", status_code=204, summary="End a login", **needs(Level.PERSON))
async def revoke_session(caller: AnyCaller, session_id: UUID) -> None:
    async with caller.stores.database.accounts() as accounts:
        await logins.revoke_session(accounts, caller.user_id, SessionId(session_id), caller.now)


@router.delete(SESSIONS, status_code=204, summary="End all my other logins", **needs(Level.PERSON))
async def revoke_other_sessions(caller: AnyCaller) -> None:
    async with caller.stores.database.accounts() as accounts:
        await logins.revoke_sessions(accounts, caller.user_id, caller.now, caller.session_id)
