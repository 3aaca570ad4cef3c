"""From a credential that somebody sent to who he is and what he may do."""

from datetime import datetime

from aicd_core.db.sessions import SystemCourier, SystemReadSession
from aicd_core.tenancy.accounts.logins import require_good, unknown_login
from aicd_core.tenancy.api_keys.service import find_key
from aicd_core.tenancy.principals import repository
from aicd_core.tenancy.principals.values import KeyPrincipal, Place, SessionPrincipal
from aicd_core.tenancy.tokens import TokenKind, hash_token, parse_token


async def principal_of_key(session: SystemReadSession | SystemCourier, text: str, now: datetime) -> KeyPrincipal:
    """Who sent an API key.

    Raises:
        UnauthenticatedError: as `api_keys.service.find_key`.
    """
    found = await find_key(session, text, now)
    place = Place(found.tenant, found.slug, found.key.scopes)
    return KeyPrincipal(found.key.id, place, found.key.last_used_at)


async def principal_of_session(
    session: SystemReadSession | SystemCourier, text: str, slug: str, now: datetime
) -> SessionPrincipal:
    """Who sent a login's token, with his place in the organization with this slug; an empty slug asks for none.

    Raises:
        UnauthenticatedError: as `accounts.logins.find_session`.
    """
    token_hash = hash_token(parse_token(text, TokenKind.SESSION))
    found = await repository.find_login(session, token_hash, slug)
    if found is None:
        raise unknown_login()
    principal, state = found
    require_good(state, now)
    return principal
