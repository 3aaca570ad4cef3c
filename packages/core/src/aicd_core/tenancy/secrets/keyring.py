"""Encrypting tenants' secrets with keys that can be replaced one by one.

A ciphertext is a random nonce of 12 bytes followed by AES-256-GCM's output (NIST SP 800-38D; one key is good for some
2^32 values). The organization and the secret's name are authenticated with it, so that a ciphertext copied into
another row does not decrypt.
"""

import base64
import binascii
import os
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from aicd_core.errors import InvalidInputError, UnavailableError
from aicd_core.tenancy import Tenant

KEY_BYTES = 32
NONCE_BYTES = 12
HOW_TO_MAKE = 'Make a key with:  echo "k1:$(head -c 32 /dev/urandom | base64)"'
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,50}")


class Keyring:
    """The keys by id: the first one encrypts, all of them decrypt.

    Args:
        keys: id and 32 bytes of each, the newest first.
    """

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        self._order = tuple(key_id for key_id, _ in keys)
        self._ciphers: Mapping[str, AESGCM] = MappingProxyType({key_id: AESGCM(key) for key_id, key in keys})

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """The keyring of AICD_SECRET_KEYS, `id:base64,id:base64`; an empty one when that is not set.

        Raises:
            InvalidInputError: it is not of that form. The message shows no key.
        """
        return cls(parse_keys(text))

    @property
    def newest(self) -> str:
        """Id of the key that encrypts.

        Raises:
            UnavailableError: there is no key at all.
        """
        if not self._order:
            raise UnavailableError(
                f"AICD_SECRET_KEYS is not set, so no secret can be kept. {HOW_TO_MAKE}", code="no_secret_key"
            )
        return self._order[0]

    def encrypt(self, tenant: Tenant, name: str, value: str) -> tuple[str, bytes]:
        """The id of the key used, and the ciphertext of a tenant's secret."""
        key_id = self.newest
        nonce = os.urandom(NONCE_BYTES)
        return key_id, nonce + self._ciphers[key_id].encrypt(nonce, value.encode(), _bound_to(tenant, name))

    def decrypt(self, tenant: Tenant, name: str, key_id: str, ciphertext: bytes) -> str:
        """The value of a tenant's secret.

        Raises:
            UnavailableError: its key is not on the ring, or the ciphertext was made for another row or was altered.
        """
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise UnavailableError(
                f"The secret {name} is encrypted with the key {key_id!r}, which AICD_SECRET_KEYS does not hold. Add "
                "that key behind the others.",
                code="secret_key_missing",
            )
        nonce, sealed = ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, sealed, _bound_to(tenant, name)).decode()
        except (InvalidTag, ValueError) as error:
            raise UnavailableError(
                f"The secret {name} cannot be decrypted: the key {key_id!r} is not the one that encrypted it, or the "
                "stored value was changed. Put the right key on AICD_SECRET_KEYS, or set the secret anew.",
                code="secret_unreadable",
            ) from error


def parse_keys(text: str | None) -> Sequence[tuple[str, bytes]]:
    """The id and the bytes of each key of AICD_SECRET_KEYS, the newest first; raises as `Keyring.parse`."""
    entries = [entry.strip() for entry in (text or "").split(",") if entry.strip()]
    keys = [_parse_entry(number, entry) for number, entry in enumerate(entries, 1)]
    if len({key_id for key_id, _ in keys}) != len(keys):
        raise InvalidInputError("AICD_SECRET_KEYS names a key twice. Give each an id of its own.", code="bad_keys")
    return keys


def _bound_to(tenant: Tenant, name: str) -> bytes:
    return b"aicd secret v1\0" + tenant.org_id.bytes + name.encode()


def _parse_entry(number: int, entry: str) -> tuple[str, bytes]:
    key_id, colon, encoded = entry.partition(":")
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    if not colon or not _KEY_ID.fullmatch(key_id) or len(key) != KEY_BYTES:
        raise InvalidInputError(
            f"Key number {number} of AICD_SECRET_KEYS is not `id:base64` with {KEY_BYTES} bytes behind the base64 (the "
            f"value is not shown). {HOW_TO_MAKE}",
            code="bad_keys",
        )
    return key_id, key
