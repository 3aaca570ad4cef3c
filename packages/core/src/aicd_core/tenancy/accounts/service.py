"""Rules of users and the identities that they log in with."""

from datetime import datetime

from aicd_core.db.sessions import AccountsSession
from aicd_core.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from aicd_core.ids import UserId
from aicd_core.tenancy.accounts import logins, repository
from aicd_core.tenancy.accounts.emails import require_email, same_email
from aicd_core.tenancy.accounts.values import IdentityClaim, UserFields, UserView
from aicd_core.text import require_text

NAME_MOST = 200
ISSUER_MOST = 2048
SUBJECT_MOST = 255
"""Characters of a subject (OpenID Connect Core 1.0, section 2)."""
IDENTITY_MOST = 2600
"""Bytes of both: together they are a key, and a row of Postgres's index must fit into a third of a page (2,704)."""


async def create_user(session: AccountsSession, fields: UserFields) -> UserView:
    """Makes a user.

    Raises:
        ConflictError: `email_taken`.
        InvalidInputError: an address or a name that cannot be one.
    """
    made = await repository.insert_user(session, _checked(fields))
    if made is None:
        raise ConflictError("Another user has this e-mail address.", code="email_taken")
    return made


async def ensure_user(session: AccountsSession, fields: UserFields) -> UserView:
    """The user with this address, made when there is none; one who is there is left as he is.

    Raises:
        ForbiddenError: `email_differs`: a look-alike of the address is in use.
        InvalidInputError, ConflictError: as `create_user`.
    """
    known = await repository.find_user_by_email(session, _checked(fields).email)
    if known is None:
        return await create_user(session, fields)
    if not same_email(known.email, fields.email):
        raise ForbiddenError("Another user has a look-alike of this e-mail address.", code="email_differs")
    return known


async def get_user(session: AccountsSession, user_id: UserId) -> UserView:
    """A user who is not deleted.

    Raises:
        NotFoundError: `user_not_found`.
    """
    user = await repository.get_user(session, user_id)
    if user is None or user.deleted_at is not None:
        raise NotFoundError(f"There is no user {user_id}.", code="user_not_found")
    return user


async def edit_user(session: AccountsSession, user_id: UserId, revision: int, fields: UserFields) -> UserView:
    """Replaces what may be edited. Whoever changes an address says whether the new one is verified.

    Raises:
        ConflictError: `stale_revision`, `email_taken` (this one ends the transaction).
        NotFoundError: `user_not_found`.
    """
    return await _current(session, user_id, await repository.update_user(session, user_id, revision, _checked(fields)))


async def delete_user(session: AccountsSession, user_id: UserId, revision: int, now: datetime) -> UserView:
    """Deletes a user so that he can be brought back, and ends his logins at once.

    His memberships stay for his return; `memberships.service.sole_ownerships` says beforehand which organizations
    would have nobody left to run them.

    Raises:
        ConflictError: `stale_revision`.
        NotFoundError: `user_not_found`.
    """
    deleted = await repository.mark_deleted(session, user_id, revision, now)
    user = await _current(session, user_id, deleted)
    await logins.revoke_sessions(session, user_id, now)
    return user


async def restore_user(session: AccountsSession, user_id: UserId) -> UserView:
    """Brings a deleted user back, with his identities and memberships; he has to log in again.

    Raises:
        ConflictError: `email_taken` meanwhile by somebody else (this one ends the transaction).
        NotFoundError: `user_not_found`: there is no such deleted user.
    """
    user = await repository.unmark_deleted(session, user_id)
    if user is None:
        raise NotFoundError(f"There is no deleted user {user_id}.", code="user_not_found")
    return user


async def find_by_identity(session: AccountsSession, issuer: str, subject: str) -> UserView | None:
    """The user whom a login provider knows under this subject; None when nobody is linked to it.

    Raises:
        ForbiddenError: `user_deleted`.
        InvalidInputError: an issuer or a subject that cannot be stored.
    """
    require_text(issuer, "The issuer", most=ISSUER_MOST, least=1)
    require_text(subject, "The subject", most=SUBJECT_MOST, least=1)
    if (size := len((issuer + subject).encode())) > IDENTITY_MOST:
        raise InvalidInputError(
            f"Issuer and subject have {size:,} bytes; together they may have {IDENTITY_MOST:,}.", code="bad_length"
        )
    user = await repository.find_user_by_identity(session, issuer, subject)
    if user is not None and user.deleted_at is not None:
        raise ForbiddenError(
            "This account was deleted. Ask whoever runs AI-CD here to restore it.", code="user_deleted"
        )
    return user


async def link_identity(session: AccountsSession, user_id: UserId, claim: IdentityClaim) -> UserView:
    """Lets a user log in by one more identity. Linking it again changes nothing.

    Only when the provider and we have both verified the address, and it is the same one: otherwise whoever enters
    somebody's address at a careless provider would get into that person's account.

    Raises:
        ForbiddenError: `email_unverified` or `email_differs`.
        ConflictError: `identity_taken`: it is linked to another user.
        NotFoundError: `user_not_found`.
    """
    known = await find_by_identity(session, claim.issuer, claim.subject)
    user = await get_user(session, user_id)
    if known is None:
        _refuse_link(user, claim)
        if not await repository.insert_identity(session, user_id, claim.issuer, claim.subject):
            known = await find_by_identity(session, claim.issuer, claim.subject)
    if known is not None and known.id != user_id:
        raise ConflictError("That login belongs to another user already.", code="identity_taken")
    return user


async def user_of_login(session: AccountsSession, claim: IdentityClaim) -> UserView:
    """The user behind a login: the one linked to it, else the one with its address, else a new one.

    Raises:
        ForbiddenError: `user_deleted`; `email_unverified` when nobody is linked and either side has not verified the
            address; `email_differs` when a look-alike of the address is in use.
        ConflictError: `email_taken` or `identity_taken` by another login at this very moment.
    """
    known = await find_by_identity(session, claim.issuer, claim.subject)
    if known is not None:
        return known
    user = await repository.find_user_by_email(session, require_email(claim.email))
    if user is None:
        _require_verified(claim)
        user = await create_user(session, UserFields(claim.email, True, claim.name))
    return await link_identity(session, user.id, claim)


async def user_of_claim(session: AccountsSession, claim: IdentityClaim) -> UserView | None:
    """Whose account a login was about, also when it was refused; None when nobody's. It proves nothing.

    To be told to those who watch over the account, never to whoever tried to log in.
    """
    known = await repository.find_user_by_identity(session, claim.issuer, claim.subject)
    return known or await repository.find_user_by_email(session, claim.email)


def _refuse_link(user: UserView, claim: IdentityClaim) -> None:
    _require_verified(claim)
    if not user.email_verified:
        raise ForbiddenError(
            "The e-mail address of this account is not verified yet, so no login can be linked to it. "
            "Verify it, then log in again.",
            code="email_unverified",
        )
    if not same_email(user.email, claim.email):
        raise ForbiddenError(
            "The login's e-mail address is not the account's. Make them the same, then log in again.",
            code="email_differs",
        )


def _require_verified(claim: IdentityClaim) -> None:
    if not claim.email_verified:
        raise ForbiddenError(
            "The login provider has not verified your e-mail address. Verify it there, then log in again.",
            code="email_unverified",
        )


async def _current(session: AccountsSession, user_id: UserId, changed: UserView | None) -> UserView:
    """What a guarded edit made, or the reason why it made nothing."""
    if changed is None:
        now = await get_user(session, user_id)
        raise ConflictError(
            f"The user was changed meanwhile (it is at revision {now.revision}). Read it again, then repeat the edit.",
            code="stale_revision",
        )
    return changed


def _checked(fields: UserFields) -> UserFields:
    require_email(fields.email)
    require_text(fields.name, "The name", most=NAME_MOST)
    return fields
