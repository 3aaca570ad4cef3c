"""From who somebody is at a provider to a login here, each one written down where it matters."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from aicd_backend.problems import RefusedError
from aicd_backend.stores import Stores
from aicd_core.db.sessions import AccountsSession
from aicd_core.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from aicd_core.ids import SessionId, UserId
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.accounts import logins
from aicd_core.tenancy.accounts.service import NAME_MOST, find_by_identity, user_of_claim, user_of_login
from aicd_core.tenancy.accounts.values import Client, IdentityClaim, OpenedSession, SessionLimits
from aicd_core.tenancy.audit.models import ActorKind
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import JSON, Actor
from aicd_core.tenancy.memberships.service import organizations_of
from aicd_core.text import one_line

LOGIN = Actor(ActorKind.SYSTEM, "login")
"""Who acts when somebody tries to come in and is not let in."""
log = logging.getLogger(__name__)


async def log_in(
    stores: Stores, claim: IdentityClaim, client: Client, before: str | None, now: datetime
) -> OpenedSession:
    """Lets somebody in whom a provider has named. His token is handed out only once all his organizations know.

    Args:
        before: the token of the login that his browser had, which ends.

    Raises:
        RefusedError: `email_missing`.
        ForbiddenError: as `accounts.service.user_of_login`.
    """
    limits, claim = stores.settings.session_limits, replace(claim, name=one_line(claim.name, NAME_MOST))
    try:
        async with stores.database.accounts() as session:
            linked = await find_by_identity(session, claim.issuer, claim.subject) is not None
            if not linked and not claim.email:
                raise RefusedError(
                    403,
                    "email_missing",
                    "The login provider told no e-mail address of yours. Give yourself one there, let it be told to "
                    "us, and log in again.",
                )
            user = await user_of_login(session, claim)
            await _end(session, before, limits, now)
            opened = await logins.open_session(session, user.id, client, limits, now)
    except ForbiddenError as error:
        await _tell_refused(stores, claim, client, error)
        raise
    actor = Actor(ActorKind.USER, str(user.id))
    detail = _of(client) | {"issuer": claim.issuer}
    if not linked:
        await tell(stores, user.id, actor, "identity.linked", ("user", str(user.id)), detail)
    await tell(stores, user.id, actor, "session.opened", ("session", str(opened.session.id)), detail)
    return opened


async def log_out(stores: Stores, user_id: UserId, session_id: SessionId, client: Client, now: datetime) -> None:
    """Ends a login at once.

    Raises:
        NotFoundError: `session_not_found`; it has ended at this very moment.
    """
    async with stores.database.accounts() as session:
        await logins.revoke_session(session, user_id, session_id, now)
    actor = Actor(ActorKind.USER, str(user_id))
    await tell(stores, user_id, actor, "session.closed", ("session", str(session_id)), _of(client))


async def end_former(stores: Stores, token: str | None, client: Client, now: datetime) -> None:
    """Ends the login that a browser had and loses now, if it was one of a person and still good.

    Args:
        token: what its session's cookie says.
    """
    if token is None:
        return
    try:
        async with stores.database.accounts() as session:
            found, _ = await logins.find_session(session, token, stores.settings.session_limits, now)
        await log_out(stores, found.user_id, found.id, client, now)
    except (UnauthenticatedError, NotFoundError):
        return  # it had ended, or does at this very moment


async def tell(
    stores: Stores, user_id: UserId, actor: Actor, action: str, target: tuple[str, str], detail: Mapping[str, JSON]
) -> None:
    """Writes into the audit log of each organization of a person what happened to his account.

    A person belongs to no organization, and each one that he is a member of wants to know who comes in by his name.
    """
    log.info("%s of user %s: %s %s", action, user_id, *target)
    async with stores.system.read() as system:
        places = await organizations_of(system, user_id)
    for place in places:
        tenant = Tenant(place.org_id)
        async with stores.database.write(tenant) as session:
            await record(session, tenant, actor, action, *target, detail)


async def _tell_refused(stores: Stores, claim: IdentityClaim, client: Client, error: ForbiddenError) -> None:
    log.warning("A login by %s was refused: %s", claim.issuer, error.code)
    async with stores.database.accounts() as session:
        user = await user_of_claim(session, claim)
    if user is not None:
        detail = _of(client) | {"issuer": claim.issuer, "subject": claim.subject, "reason": error.code}
        await tell(stores, user.id, LOGIN, "login.refused", ("user", str(user.id)), detail)


async def _end(session: AccountsSession, token: str | None, limits: SessionLimits, now: datetime) -> None:
    """Ends the login that a browser had, if it was still good."""
    if token is None:
        return
    try:
        found, _ = await logins.find_session(session, token, limits, now)
    except UnauthenticatedError:
        return
    await logins.revoke_session(session, found.user_id, found.id, now)


def _of(client: Client) -> dict[str, JSON]:
    return {"address": client.address, "user_agent": client.user_agent}
