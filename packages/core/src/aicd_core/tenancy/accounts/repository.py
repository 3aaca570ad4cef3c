"""SQL of users, their identities and their sessions. None of them belongs to a tenant."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.exc import IntegrityError

from aicd_core.db.pages import Page, PageRequest, cursor_of
from aicd_core.db.sessions import AccountsSession
from aicd_core.errors import ConflictError
from aicd_core.ids import SessionId, UserId, new_uuid
from aicd_core.tenancy.accounts.models import Identity, User, UserSession
from aicd_core.tenancy.accounts.values import Client, NewSession, SessionView, UserFields, UserView


async def insert_user(session: AccountsSession, fields: UserFields) -> UserView | None:
    """Makes a user; None when a user who is not deleted has the address."""
    new = pg_insert(User).values(id=new_uuid(), revision=1, **vars(fields)).on_conflict_do_nothing()
    row = (await session.execute(new.returning(User))).scalar_one_or_none()
    return _user(row) if row else None


async def get_user(session: AccountsSession, user_id: UserId) -> UserView | None:
    """A user, deleted or not."""
    query = select(User).where(User.id == user_id).execution_options(populate_existing=True)
    row = (await session.execute(query)).scalar_one_or_none()
    return _user(row) if row else None


async def find_user_by_email(session: AccountsSession, email: str) -> UserView | None:
    """The user, not deleted, whose address is the same to the database, which folds more than ASCII's case."""
    query = select(User).where(func.lower(User.email) == func.lower(email), User.deleted_at.is_(None))
    row = (await session.execute(query)).scalar_one_or_none()
    return _user(row) if row else None


async def update_user(session: AccountsSession, user_id: UserId, revision: int, fields: UserFields) -> UserView | None:
    """Replaces what may be edited; None when there is no such user with this revision.

    Raises:
        ConflictError: another user has the address.
    """
    return await _change(session, user_id, revision, vars(fields))


async def mark_deleted(
    session: AccountsSession, user_id: UserId, revision: int, deleted_at: datetime
) -> UserView | None:
    """Deletes a user so that he can be brought back; None as for `update_user`."""
    return await _change(session, user_id, revision, {"deleted_at": deleted_at})


async def unmark_deleted(session: AccountsSession, user_id: UserId) -> UserView | None:
    """Brings a deleted user back; None when there is no such deleted user.

    Raises:
        ConflictError: another user has taken the address since.
    """
    return await _change(session, user_id, None, {"deleted_at": None})


async def find_user_by_identity(session: AccountsSession, issuer: str, subject: str) -> UserView | None:
    """The user, deleted or not, whom a login provider knows under this subject."""
    query = (
        select(User)
        .join(Identity, Identity.user_id == User.id)
        .where(Identity.issuer == issuer, Identity.subject == subject)
    )
    row = (await session.execute(query)).scalar_one_or_none()
    return _user(row) if row else None


async def insert_identity(session: AccountsSession, user_id: UserId, issuer: str, subject: str) -> bool:
    """Links an identity to a user; False when it is linked already, to whomever."""
    new = pg_insert(Identity).values(user_id=user_id, issuer=issuer, subject=subject)
    made = await session.execute(new.on_conflict_do_nothing().returning(Identity.user_id))
    return made.first() is not None


async def _change(
    session: AccountsSession, user_id: UserId, revision: int | None, values: dict[str, Any]
) -> UserView | None:
    """Edits a user who is not deleted, at a revision; or, without one, a deleted user."""
    guard = User.deleted_at.is_not(None) if revision is None else User.deleted_at.is_(None)
    change = update(User).where(User.id == user_id, guard).values(revision=User.revision + 1, **values)
    if revision is not None:
        change = change.where(User.revision == revision)
    try:
        found = await session.execute(change.returning(User), execution_options={"populate_existing": True})
    except IntegrityError as error:
        raise ConflictError("Another user has this e-mail address.", code="email_taken") from error
    row = found.scalar_one_or_none()
    return _user(row) if row else None


async def insert_session(session: AccountsSession, new: NewSession) -> SessionView:
    """Keeps a login."""
    row = await session.execute(
        insert(UserSession)
        .values(
            id=new_uuid(),
            user_id=new.user_id,
            token_hash=new.token_hash,
            user_agent=new.client.user_agent,
            address=new.client.address,
            created_at=new.now,
            last_used_at=new.now,
            idle_until=new.idle_until,
            ends_at=new.ends_at,
        )
        .returning(UserSession)
    )
    return _session(row.scalar_one())


async def find_session(session: AccountsSession, token_hash: bytes) -> tuple[SessionView, UserView] | None:
    """The login of a token and its user, whatever state they are in."""
    query = (
        select(UserSession, User)
        .join(User, User.id == UserSession.user_id)
        .where(UserSession.token_hash == token_hash)
        .execution_options(populate_existing=True)
    )
    row = (await session.execute(query)).one_or_none()
    return (_session(row[0]), _user(row[1])) if row else None


async def touch_session(
    session: AccountsSession, session_id: SessionId, unused_since: datetime, now: datetime, idle_until: datetime
) -> bool:
    """Notes that a login was used; False when that was noted after `unused_since`, or the login was revoked."""
    change = update(UserSession).where(
        UserSession.id == session_id, UserSession.last_used_at <= unused_since, UserSession.revoked_at.is_(None)
    )
    # A login never ends later than at its absolute end, however often it is used.
    until = func.least(idle_until, UserSession.ends_at)
    done = await session.execute(change.values(last_used_at=now, idle_until=until).returning(UserSession.id))
    return done.first() is not None


async def replace_token(
    session: AccountsSession, session_id: SessionId, old_hash: bytes, new_hash: bytes
) -> SessionView | None:
    """Gives a login another token; None when it was revoked or has another token by now."""
    done = await session.execute(
        update(UserSession)
        .where(UserSession.id == session_id, UserSession.token_hash == old_hash, UserSession.revoked_at.is_(None))
        .values(token_hash=new_hash)
        .returning(UserSession),
        execution_options={"populate_existing": True},
    )
    row = done.scalar_one_or_none()
    return _session(row) if row else None


async def list_sessions(
    session: AccountsSession, user_id: UserId, page: PageRequest, now: datetime
) -> Page[SessionView]:
    """The logins of a user that are good at `now`, newest first."""
    query = select(UserSession).where(UserSession.user_id == user_id, *_good_at(now))
    after = page.after_uuid()
    if after is not None:
        query = query.where(UserSession.id < after)
    rows = (await session.execute(query.order_by(UserSession.id.desc()).limit(page.limit + 1))).scalars().all()
    shown = tuple(_session(row) for row in rows[: page.limit])
    return Page(shown, cursor_of(shown[-1].id) if len(rows) > page.limit else None)


async def revoke_session(session: AccountsSession, user_id: UserId, session_id: SessionId, now: datetime) -> bool:
    """Ends one login of a user; False when he has no such login that is good."""
    change = update(UserSession).where(UserSession.user_id == user_id, UserSession.id == session_id, *_good_at(now))
    done = await session.execute(change.values(revoked_at=now).returning(UserSession.id))
    return done.first() is not None


async def revoke_sessions(
    session: AccountsSession, user_id: UserId, now: datetime, spared: SessionId | None = None
) -> int:
    """Ends every login of a user but the spared one; how many there were."""
    change = update(UserSession).where(UserSession.user_id == user_id, *_good_at(now))
    if spared is not None:
        change = change.where(UserSession.id != spared)
    done = await session.execute(change.values(revoked_at=now).returning(UserSession.id))
    return len(done.all())


def _good_at(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (UserSession.revoked_at.is_(None), UserSession.idle_until > now, UserSession.ends_at > now)


def _session(row: UserSession) -> SessionView:
    return SessionView(
        id=row.id,
        user_id=row.user_id,
        client=Client(row.user_agent, row.address),
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        idle_until=row.idle_until,
        ends_at=row.ends_at,
        revoked_at=row.revoked_at,
    )


def _user(row: User) -> UserView:
    return UserView(row.id, row.email, row.email_verified, row.name, row.revision, row.created_at, row.deleted_at)
