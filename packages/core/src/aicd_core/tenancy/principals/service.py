"""From a credential that somebody sent to who he is and what he may do."""

from datetime import datetime

from aicd_core.db.sessions import SystemCourier, SystemReadSession
from aicd_core.tenancy.accounts.logins import require_good, unknown_login
from aicd_core.tenancy.api_keys.service import find_key, find_key_by_id
from aicd_core.tenancy.api_keys.values import FoundKey
from aicd_core.tenancy.principals import repository
from aicd_core.tenancy.principals.values import KeyGrant, KeyPrincipal, Place, SessionPrincipal
from aicd_core.tenancy.tokens import TokenKind, hash_token, parse_token


async def principal_of_key(session: SystemReadSession | SystemCourier, text: str, now: datetime) -> KeyPrincipal:
    """Who sent an API key.

    Raises:
        UnauthenticatedError: as `api_keys.service.find_key`.
    """
    found = await find_key(session, text, now)
    return _of_key(found, found.key.scopes)


async def principal_of_grant(
    session: SystemReadSession | SystemCourier, grant: KeyGrant, now: datetime
) -> KeyPrincipal:
    """Who sent an access token that was issued for an API key, and that its caller has checked.

    Raises:
        UnauthenticatedError: as `api_keys.service.find_key_by_id`.
    """
    found = await find_key_by_id(session, grant.prefix, grant.key_id, now)
    return _of_key(found, found.key.scopes & grant.scopes)


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


def _of_key(found: FoundKey, scopes: frozenset[str]) -> KeyPrincipal:
    return KeyPrincipal(found.key.id, Place(found.tenant, found.slug, scopes), found.key.last_used_at)
