"""Logins: from the token's first showing to their end."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from aicd_core.db.database import Database
from aicd_core.db.pages import PageRequest
from aicd_core.errors import InvalidInputError, NotFoundError, UnauthenticatedError
from aicd_core.ids import SessionId, UserId, new_uuid
from aicd_core.tenancy.accounts import logins, service
from aicd_core.tenancy.accounts.values import Client, OpenedSession, SessionLimits, UserFields, UserView
from aicd_core.tenancy.tokens import TokenKind, new_token

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
LIMITS = SessionLimits(idle=HOUR, absolute=24 * HOUR)
CLIENT = Client("Browser/1.0", "192.0.2.7")


@pytest.fixture
async def user(database: Database) -> UserView:
    async with database.accounts() as session:
        return await service.create_user(session, UserFields("ada@example.com", True, "Ada"))


async def open_at(database: Database, user: UserView, now: datetime = NOW) -> OpenedSession:
    async with database.accounts() as session:
        return await logins.open_session(session, user.id, CLIENT, LIMITS, now)


async def find(database: Database, token: str, now: datetime):
    async with database.accounts() as session:
        return await logins.find_session(session, token, LIMITS, now)


async def code_of(database: Database, token: str, now: datetime) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        await find(database, token, now)
    return caught.value.code


async def test_a_login_is_found_by_its_token_with_its_user(database: Database, user: UserView):
    opened = await open_at(database, user)
    assert await find(database, opened.token.reveal(), NOW) == (opened.session, user)
    assert opened.session.client == CLIENT
    assert (opened.session.idle_until, opened.session.ends_at) == (NOW + HOUR, NOW + 24 * HOUR)


async def test_the_token_is_stored_nowhere(database: Database, user: UserView):
    opened = await open_at(database, user)
    async with database.accounts() as session:
        stored = (await session.execute(text("SELECT sessions::text FROM sessions"))).scalar_one()
    secret = opened.token.reveal()
    assert secret not in stored
    assert secret.encode().hex() not in stored
    assert secret.rpartition("_")[2] not in repr(opened)


async def test_a_login_used_again_and_again_lasts_until_its_absolute_end(database: Database, user: UserView):
    token, now = (await open_at(database, user)).token.reveal(), NOW
    while now + HOUR / 2 < NOW + 24 * HOUR:
        now += HOUR / 2
        view, _ = await find(database, token, now)
    assert view.ends_at == NOW + 24 * HOUR
    assert await code_of(database, token, NOW + 24 * HOUR) == "session_ended"


async def test_a_login_not_used_for_long_ends(database: Database, user: UserView):
    token = (await open_at(database, user)).token.reveal()
    await find(database, token, NOW + HOUR / 2)
    assert await code_of(database, token, NOW + HOUR * 3 / 2) == "session_idle"


async def test_a_use_is_written_down_at_most_once_a_minute(database: Database, user: UserView):
    token = (await open_at(database, user)).token.reveal()

    async def noted(now: datetime) -> datetime:
        await find(database, token, now)
        return (await find(database, token, now))[0].last_used_at

    assert await noted(NOW + MINUTE * 0.9) == NOW
    assert await noted(NOW + MINUTE) == NOW + MINUTE
    assert await noted(NOW + MINUTE * 1.5) == NOW + MINUTE


async def test_a_use_never_moves_the_end_past_the_absolute_one(database: Database, user: UserView):
    limits = SessionLimits(idle=10 * HOUR, absolute=2 * HOUR)
    async with database.accounts() as session:
        opened = await logins.open_session(session, user.id, CLIENT, limits, NOW)
        assert opened.session.idle_until == opened.session.ends_at
        for _ in range(2):
            view, _ = await logins.find_session(session, opened.token.reveal(), limits, NOW + HOUR)
    assert (view.last_used_at, view.idle_until) == (NOW + HOUR, NOW + 2 * HOUR)


async def test_tokens_that_nobody_was_given_are_refused(database: Database, user: UserView):
    assert await code_of(database, new_token(TokenKind.SESSION).reveal(), NOW) == "session_unknown"
    assert await code_of(database, new_token(TokenKind.API_KEY).reveal(), NOW) == "wrong_token_kind"
    assert await code_of(database, "' OR 1=1 --", NOW) == "malformed_token"


async def test_a_rotated_login_is_the_same_one_with_another_token(database: Database, user: UserView):
    opened = await open_at(database, user)
    async with database.accounts() as session:
        rotated = await logins.rotate_session(session, opened.token.reveal(), NOW)
    assert rotated.session == opened.session
    assert await code_of(database, opened.token.reveal(), NOW) == "session_unknown"
    assert (await find(database, rotated.token.reveal(), NOW))[0].id == opened.session.id


async def test_of_two_rotations_at_once_one_wins(database: Database, user: UserView):
    opened = await open_at(database, user)

    async def rotate() -> OpenedSession:
        async with database.accounts() as session:
            return await logins.rotate_session(session, opened.token.reveal(), NOW)

    results = await asyncio.gather(*(rotate() for _ in range(4)), return_exceptions=True)
    (won,) = [result for result in results if isinstance(result, OpenedSession)]
    assert {result.code for result in results if isinstance(result, UnauthenticatedError)} == {"session_unknown"}
    assert await find(database, won.token.reveal(), NOW)


async def test_a_revoked_login_is_over_at_once(database: Database, user: UserView):
    opened = await open_at(database, user)
    async with database.accounts() as session:
        await logins.revoke_session(session, user.id, opened.session.id, NOW)
    assert await code_of(database, opened.token.reveal(), NOW) == "session_revoked"
    for whose, which in ((user.id, opened.session.id), (user.id, SessionId(new_uuid()))):
        with pytest.raises(NotFoundError, match="no login"):
            async with database.accounts() as session:
                await logins.revoke_session(session, whose, which, NOW)


async def test_nobody_ends_another_users_login(database: Database, user: UserView):
    opened = await open_at(database, user)
    async with database.accounts() as session:
        other = await service.create_user(session, UserFields("bob@example.com", True, "Bob"))
    with pytest.raises(NotFoundError, match="no login"):
        async with database.accounts() as session:
            await logins.revoke_session(session, other.id, opened.session.id, NOW)
    async with database.accounts() as session:
        assert await logins.revoke_sessions(session, other.id, NOW) == 0
    assert await find(database, opened.token.reveal(), NOW)


async def test_all_logins_end_but_the_one_that_is_asking(database: Database, user: UserView):
    first, second, third = [await open_at(database, user) for _ in range(3)]
    async with database.accounts() as session:
        assert await logins.revoke_sessions(session, user.id, NOW, spared=second.session.id) == 2
    for gone in (first, third):
        assert await code_of(database, gone.token.reveal(), NOW) == "session_revoked"
    assert await find(database, second.token.reveal(), NOW)
    async with database.accounts() as session:
        assert await logins.revoke_sessions(session, user.id, NOW) == 1


async def test_the_list_shows_good_logins_newest_first_page_by_page(database: Database, user: UserView):
    old = await open_at(database, user, NOW - 2 * HOUR)
    opened = [await open_at(database, user) for _ in range(3)]
    async with database.accounts() as session:
        first = await logins.list_sessions(session, user.id, PageRequest(limit=2), NOW)
        rest = await logins.list_sessions(session, user.id, PageRequest(limit=2, cursor=first.next_cursor), NOW)
    assert [*first.items, *rest.items] == [login.session for login in reversed(opened)]
    assert rest.next_cursor is None
    assert await code_of(database, old.token.reveal(), NOW) == "session_idle"


async def test_a_deleted_users_logins_end_and_stay_ended(database: Database, user: UserView):
    opened = await open_at(database, user)
    async with database.accounts() as session:
        await service.delete_user(session, user.id, 1, NOW)
    assert await code_of(database, opened.token.reveal(), NOW) == "session_revoked"
    for nobody in (user.id, UserId(new_uuid())):
        with pytest.raises(NotFoundError, match="no user"):
            async with database.accounts() as session:
                await logins.open_session(session, nobody, CLIENT, LIMITS, NOW)
    async with database.accounts() as session:
        await service.restore_user(session, user.id)
    assert await code_of(database, opened.token.reveal(), NOW) == "session_revoked"


async def test_a_login_of_a_user_deleted_behind_its_back_is_refused(database: Database, user: UserView):
    opened = await open_at(database, user)
    async with database.accounts() as session:
        await session.execute(text("UPDATE users SET deleted_at = now()"))
    assert await code_of(database, opened.token.reveal(), NOW) == "user_deleted"


@pytest.mark.parametrize("client", [Client("x" * 1001, ""), Client("a\x00", ""), Client("", "1" * 101)])
async def test_a_client_that_cannot_be_stored_exactly_is_refused(database: Database, user: UserView, client: Client):
    with pytest.raises(InvalidInputError):
        async with database.accounts() as session:
            await logins.open_session(session, user.id, client, LIMITS, NOW)
