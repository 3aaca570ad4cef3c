"""Keeping a tenant's secrets, such as its own model keys. No value is ever listed, logged or audited."""

import re
from collections.abc import Sequence

from aicd_core.db.sessions import ReadSession, WriteSession
from aicd_core.errors import ConflictError, InvalidInputError, NotFoundError
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.audit.service import record
from aicd_core.tenancy.audit.values import JSON, Actor
from aicd_core.tenancy.secrets import repository
from aicd_core.tenancy.secrets.keyring import Keyring
from aicd_core.tenancy.secrets.values import SealedSecret, SecretView
from aicd_core.text import require_text

NAME = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
VALUE_MOST = 64 * 1024
MOST_SECRETS = 100
"""Of one organization. Two put at the very same moment may make it one more."""


async def put(
    session: WriteSession, tenant: Tenant, actor: Actor, keyring: Keyring, name: str, value: str, *, revision: int
) -> SecretView:
    """Keeps a value under a name, encrypted with the newest key.

    Args:
        revision: 0 for a new secret, else the revision of the one to replace.

    Raises:
        InvalidInputError: the name or the value cannot be used, or there are too many secrets.
        ConflictError: a secret of this name is there already, or is no longer at this revision.
        UnavailableError: there is no key.
    """
    _require_name(name)
    require_text(value, f"The secret {name}", most=VALUE_MOST, least=1)
    sealed = _seal(tenant, keyring, name, value)
    if revision == 0:
        await _require_room(session, tenant)
        kept = await repository.insert_secret(session, tenant, sealed)
    else:
        kept = await repository.update_secret(session, tenant, revision, sealed)
    if kept is None:
        raise _stale(name, revision)
    detail: dict[str, JSON] = {"key_id": kept.key_id, "revision": kept.revision}
    await record(session, tenant, actor, "secret.put", "secret", name, detail)
    return kept


async def get(session: ReadSession, tenant: Tenant, keyring: Keyring, name: str) -> str:
    """The value of a secret, for the step that needs it.

    Raises:
        NotFoundError: the tenant has none of this name.
        UnavailableError: it cannot be decrypted with these keys.
    """
    sealed = await repository.get_sealed(session, tenant, name) if NAME.fullmatch(name) else None
    if sealed is None:
        raise _unknown(name)
    return keyring.decrypt(tenant, sealed.name, sealed.key_id, sealed.ciphertext)


async def describe(session: ReadSession, tenant: Tenant, name: str) -> SecretView:
    """A secret without its value.

    Raises:
        NotFoundError: the tenant has none of this name.
    """
    found = await repository.find_secret(session, tenant, name) if NAME.fullmatch(name) else None
    if found is None:
        raise _unknown(name)
    return found


async def list_names(session: ReadSession, tenant: Tenant) -> Sequence[SecretView]:
    """The tenant's secrets by name, without their values."""
    return await repository.list_secrets(session, tenant, MOST_SECRETS * 2)


async def delete(session: WriteSession, tenant: Tenant, actor: Actor, name: str, *, revision: int) -> None:
    """Removes a secret for good.

    Raises:
        ConflictError: it is not there at this revision.
    """
    _require_name(name)
    if not await repository.delete_secret(session, tenant, name, revision):
        raise _stale(name, revision)
    await record(session, tenant, actor, "secret.deleted", "secret", name)


async def reencrypt(session: WriteSession, tenant: Tenant, actor: Actor, keyring: Keyring) -> int:
    """Encrypts every secret that an older key encrypted with the newest one; returns how many those were.

    Raises:
        UnavailableError: one cannot be decrypted with these keys; then none is changed.
    """
    old = await repository.lock_sealed_with_others(session, tenant, keyring.newest)
    for sealed in old:
        value = keyring.decrypt(tenant, sealed.name, sealed.key_id, sealed.ciphertext)
        await repository.reseal(session, tenant, _seal(tenant, keyring, sealed.name, value))
    if old:
        detail = {"key_id": keyring.newest, "names": [sealed.name for sealed in old]}
        await record(session, tenant, actor, "secret.reencrypted", "organization", str(tenant.org_id), detail)
    return len(old)


def _seal(tenant: Tenant, keyring: Keyring, name: str, value: str) -> SealedSecret:
    key_id, ciphertext = keyring.encrypt(tenant, name, value)
    return SealedSecret(name, key_id, ciphertext)


async def _require_room(session: ReadSession, tenant: Tenant) -> None:
    if await repository.count_secrets(session, tenant) >= MOST_SECRETS:
        raise InvalidInputError(
            f"An organization may have {MOST_SECRETS} secrets. Delete one that is not used.", code="too_many_secrets"
        )


def _require_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidInputError(
            f"{name[:120]!r} cannot be a secret's name: 1 to 100 of A-Z, 0-9 and _, a letter first.",
            code="bad_secret_name",
        )


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(f"There is no secret {name[:120]!r}. Set it first.", code="no_such_secret")


def _stale(name: str, revision: int) -> ConflictError:
    what = "There is a secret" if revision == 0 else f"There is no revision {revision} of the secret"
    return ConflictError(f"{what} {name} now. Read the list again and decide anew.", code="stale_revision")
