"""Rules of sessions: a login from its token's first showing to its end."""

from datetime import datetime, timedelta

from aicd_core.db.pages import Page, PageRequest
from aicd_core.db.sessions import AccountsSession
from aicd_core.errors import NotFoundError, UnauthenticatedError
from aicd_core.ids import SessionId, UserId
from aicd_core.tenancy.accounts import repository
from aicd_core.tenancy.accounts.values import (
    Client,
    LoginState,
    NewSession,
    OpenedSession,
    SessionLimits,
    SessionView,
    UserView,
)
from aicd_core.tenancy.tokens import Token, TokenKind, hash_token, new_token, parse_token
from aicd_core.text import require_text

TOUCH_EVERY = timedelta(minutes=1)
"""A use sooner than this after the last noted one is not written down: no write for every page."""
USER_AGENT_MOST = 1000
ADDRESS_MOST = 100


async def open_session(
    session: AccountsSession, user_id: UserId, client: Client, limits: SessionLimits, now: datetime
) -> OpenedSession:
    """Begins a login of a user who has proven who he is. The token is shown here and never again.

    Raises:
        NotFoundError: `user_not_found`: no such user, or a deleted one.
        InvalidInputError: a user agent or address that is too long or cannot be stored.
    """
    require_text(client.user_agent, "The user agent", most=USER_AGENT_MOST)
    require_text(client.address, "The client's address", most=ADDRESS_MOST)
    user = await repository.get_user(session, user_id)
    if user is None or user.deleted_at is not None:
        raise NotFoundError(f"There is no user {user_id}.", code="user_not_found")
    token, ends_at = new_token(TokenKind.SESSION), now + limits.absolute
    idle_until = min(now + limits.idle, ends_at)
    new = NewSession(user_id, hash_token(token), client, now, idle_until, ends_at)
    return OpenedSession(await repository.insert_session(session, new), token)


async def find_session(
    session: AccountsSession, text: str, limits: SessionLimits, now: datetime
) -> tuple[SessionView, UserView]:
    """The login and the user of a token that a browser sent; notes its use, at most once a minute.

    Raises:
        UnauthenticatedError: `malformed_token`, `wrong_token_kind`, `session_unknown`, `session_revoked`,
            `session_ended` (its absolute end), `session_idle` or `user_deleted`.
    """
    found, user = await _good_session(session, parse_token(text, TokenKind.SESSION), now)
    await touch_session(session, found.id, limits, now)
    return found, user


async def touch_session(session: AccountsSession, session_id: SessionId, limits: SessionLimits, now: datetime) -> bool:
    """Notes that a login was used, at most once a minute; whether it was written down."""
    return await repository.touch_session(session, session_id, now - TOUCH_EVERY, now, now + limits.idle)


async def rotate_session(session: AccountsSession, text: str, now: datetime) -> OpenedSession:
    """Gives a login another token, after its user gained rights for example; the old one is worth nothing at once.

    Raises:
        UnauthenticatedError: as `find_session`.
    """
    old, token = parse_token(text, TokenKind.SESSION), new_token(TokenKind.SESSION)
    found, _ = await _good_session(session, old, now)
    rotated = await repository.replace_token(session, found.id, hash_token(old), hash_token(token))
    if rotated is None:
        raise _ended("session_unknown", "This login has another token by now.")
    return OpenedSession(rotated, token)


async def list_sessions(
    session: AccountsSession, user_id: UserId, page: PageRequest, now: datetime
) -> Page[SessionView]:
    """The logins of a user that are still good, newest first."""
    return await repository.list_sessions(session, user_id, page, now)


async def revoke_session(session: AccountsSession, user_id: UserId, session_id: SessionId, now: datetime) -> None:
    """Ends one login of a user at once.

    Raises:
        NotFoundError: `session_not_found`: he has no such login, or it has ended.
    """
    if not await repository.revoke_session(session, user_id, session_id, now):
        raise NotFoundError(
            f"There is no login {session_id} of yours, or it has ended already.", code="session_not_found"
        )


async def revoke_sessions(
    session: AccountsSession, user_id: UserId, now: datetime, spared: SessionId | None = None
) -> int:
    """Ends all logins of a user at once, but for the one that he is asking from; how many there were."""
    return await repository.revoke_sessions(session, user_id, now, spared)


async def _good_session(session: AccountsSession, token: Token, now: datetime) -> tuple[SessionView, UserView]:
    found = await repository.find_session(session, hash_token(token))
    if found is None:
        raise unknown_login()
    view, user = found
    require_good(LoginState(view.revoked_at, user.deleted_at, view.ends_at, view.idle_until), now)
    return found


def unknown_login() -> UnauthenticatedError:
    """What is said of a token that no login has."""
    return _ended("session_unknown", "There is no such login.")


def require_good(login: LoginState, now: datetime) -> None:
    """Does nothing when a login is good; raises as `find_session`."""
    if login.revoked_at is not None:
        raise _ended("session_revoked", "This login was ended.")
    if login.user_deleted_at is not None:
        raise _ended("user_deleted", "The account of this login was deleted.")
    if now >= login.ends_at:
        raise _ended("session_ended", "This login has lasted as long as one may.")
    if now >= login.idle_until:
        raise _ended("session_idle", "This login was not used for too long.")


def _ended(code: str, what: str) -> UnauthenticatedError:
    return UnauthenticatedError(f"{what} Log in again.", code=code)
