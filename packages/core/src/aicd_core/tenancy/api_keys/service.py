"""Rules of API keys, from their making to their end."""

from datetime import datetime, timedelta

from aicd_core.db.pages import Page, PageRequest
from aicd_core.db.sessions import ReadSession, SystemCourier, SystemReadSession, WriteSession
from aicd_core.errors import ConflictError, InvalidInputError, NotFoundError, UnauthenticatedError
from aicd_core.ids import ApiKeyId
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.api_keys import repository
from aicd_core.tenancy.api_keys.values import FoundKey, IssuedKey, KeySpec, KeyView, NewKey
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import JSON, Actor
from aicd_core.tenancy.permissions import Permission, check_give, powers_of_scopes
from aicd_core.tenancy.tokens import TokenKind, hash_token, new_token, parse_token, same_hash
from aicd_core.text import require_text

TOUCH_EVERY = timedelta(minutes=1)
"""A use sooner than this after the last noted one is not written down: no write for every page."""
NAME_MOST = 200
_NO_HASH = bytes(32)


async def create_key(
    session: WriteSession, tenant: Tenant, actor: Actor, powers: frozenset[Permission], spec: KeySpec, now: datetime
) -> IssuedKey:
    """Makes a key. Its token is shown here and never again.

    Args:
        powers: all that the actor may do here; nobody makes a key that can do more.

    Raises:
        ForbiddenError: `scope_too_high`.
        InvalidInputError: `bad_scope`, `bad_expiry`, or a name that cannot be one.
    """
    _check_spec(powers, spec, now)
    issued = await _issue(session, tenant, actor, spec, None)
    detail: dict[str, JSON] = {"name": spec.name, "scopes": sorted(spec.scopes)}
    await record(session, tenant, actor, "api_key.created", "api_key", str(issued.key.id), detail)
    return issued


async def get_key(session: ReadSession, tenant: Tenant, key_id: ApiKeyId) -> KeyView:
    """One key.

    Raises:
        NotFoundError: `key_not_found`.
    """
    return _present(await repository.get_key(session, tenant, key_id), key_id)


async def list_keys(session: ReadSession, tenant: Tenant, page: PageRequest) -> Page[KeyView]:
    """All keys, also those that have ended, newest first."""
    return await repository.list_keys(session, tenant, page)


async def revoke_key(session: WriteSession, tenant: Tenant, actor: Actor, key_id: ApiKeyId, now: datetime) -> KeyView:
    """Ends a key at once. Revoking it again changes nothing and fails nobody who is in a hurry.

    Raises:
        NotFoundError: `key_not_found`.
    """
    revoked = await repository.revoke_key(session, tenant, key_id, now)
    if revoked is None:
        return await get_key(session, tenant, key_id)
    await record(session, tenant, actor, "api_key.revoked", "api_key", str(key_id), {"name": revoked.name})
    return revoked


async def rotate_key(
    session: WriteSession,
    tenant: Tenant,
    actor: Actor,
    powers: frozenset[Permission],
    key_id: ApiKeyId,
    grace: timedelta,
    expires_at: datetime | None,
    now: datetime,
) -> IssuedKey:
    """Makes a key with the same name and scopes in place of another, which stays good for a while.

    Args:
        powers: all that the actor may do here: he gets the new key's token, so he must have what it can do.
        grace: how long the old key stays good, unless it ends earlier by itself; nothing ends it at once.
        expires_at: when the new key ends.

    Raises:
        ForbiddenError: `scope_too_high`.
        ConflictError: `key_revoked`, `key_expired`; `key_replaced` when that was done before.
        InvalidInputError: `bad_grace`, `bad_expiry`.
        NotFoundError: `key_not_found`.
    """
    if grace < timedelta(0):
        raise InvalidInputError("The old key cannot end in the past. Give a grace of zero or more.", code="bad_grace")
    old = _present(await repository.lock_key(session, tenant, key_id), key_id)
    spec = KeySpec(old.name, old.scopes, expires_at)
    _check_spec(powers, spec, now)
    fault = _fault(old, now)
    if fault is not None:
        raise ConflictError(f"{fault[1]} Make a new one instead.", code=fault[0])
    if await repository.is_replaced(session, tenant, key_id):
        raise ConflictError("The key was replaced already. Rotate the newer one.", code="key_replaced")
    issued = await _issue(session, tenant, actor, spec, key_id)
    await repository.expire_key(session, tenant, key_id, now + grace)
    detail: dict[str, JSON] = {"name": old.name, "replaced_by": str(issued.key.id)}
    await record(session, tenant, actor, "api_key.rotated", "api_key", str(key_id), detail)
    return issued


async def find_key(session: SystemReadSession | SystemCourier, text: str, now: datetime) -> FoundKey:
    """Whose key a program sent, and what it may do: `powers_of_scopes` of its scopes, and nothing more.

    A wrong checksum is refused without asking the database; a wrong secret in the time of a wrong prefix.

    Raises:
        UnauthenticatedError: `malformed_token`, `wrong_token_kind`, `key_unknown`, `key_revoked`, `key_expired` or
            `organization_deleted`.
    """
    token = parse_token(text, TokenKind.API_KEY)
    found = await repository.find_by_prefix(session, token.prefix)
    if not same_hash(hash_token(token), found.key_hash if found else _NO_HASH) or found is None:
        raise _unknown()
    return _good(found, now)


async def find_key_by_id(
    session: SystemReadSession | SystemCourier, prefix: str, key_id: ApiKeyId, now: datetime
) -> FoundKey:
    """The key that something was issued for, which is worth no more than the key itself by now.

    Whoever asks has made sure by other means that the key's holder stands behind it.

    Raises:
        UnauthenticatedError: `key_unknown`, `key_revoked`, `key_expired` or `organization_deleted`.
    """
    found = await repository.find_by_prefix(session, prefix)
    if found is None or found.key.id != key_id:
        raise _unknown()
    return _good(found, now)


async def touch_key(session: WriteSession, tenant: Tenant, key_id: ApiKeyId, now: datetime) -> bool:
    """Notes that a key was used, at most once a minute; whether it was written down."""
    return await repository.touch_key(session, tenant, key_id, now - TOUCH_EVERY, now)


async def _issue(
    session: WriteSession, tenant: Tenant, actor: Actor, spec: KeySpec, replaces: ApiKeyId | None
) -> IssuedKey:
    token = new_token(TokenKind.API_KEY)
    new = NewKey(spec, token.prefix, hash_token(token), actor.user_id, replaces)
    return IssuedKey(await repository.insert_key(session, tenant, new), token)


def _check_spec(powers: frozenset[Permission], spec: KeySpec, now: datetime) -> None:
    require_text(spec.name, "The key's name", most=NAME_MOST, least=1)
    wanted = powers_of_scopes(spec.scopes)
    if not spec.scopes or len(wanted) != len(spec.scopes):
        known = ", ".join(permission.value for permission in Permission)
        raise InvalidInputError(f"A key has one or more of these scopes: {known}.", code="bad_scope")
    if spec.expires_at is not None and spec.expires_at <= now:
        raise InvalidInputError("The key would end before it begins. Give a later time.", code="bad_expiry")
    check_give(powers, wanted, "The key").require("scope_too_high")


def _fault(key: KeyView, now: datetime) -> tuple[str, str] | None:
    """Why a key is no longer good: the code and the sentence; None when it is."""
    if key.revoked_at is not None:
        return "key_revoked", "The API key was revoked."
    if key.expires_at is not None and now >= key.expires_at:
        return "key_expired", "The API key has expired."
    return None


def _good(found: FoundKey, now: datetime) -> FoundKey:
    fault = _fault(found.key, now)
    if fault is not None:
        raise UnauthenticatedError(f"{fault[1]} Use another one.", code=fault[0])
    if found.organization_deleted:
        raise UnauthenticatedError("The organization of this API key was deleted.", code="organization_deleted")
    return found


def _unknown() -> UnauthenticatedError:
    return UnauthenticatedError("There is no such API key. Check that it is the right one.", code="key_unknown")


def _present(key: KeyView | None, key_id: ApiKeyId) -> KeyView:
    if key is None:
        raise NotFoundError(f"There is no API key {key_id} here.", code="key_not_found")
    return key
