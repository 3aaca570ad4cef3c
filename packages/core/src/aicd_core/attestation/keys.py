"""Keys that sign evidence: the operator's own, or one that is made once under the data directory.

A key is the 32 bytes that Ed25519 (RFC 8032) calls the private key. Its public half verifies; old ones are kept.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from aicd_core.attestation.key_file import KeyFile, StoredKeys
from aicd_core.errors import ConflictError, InvalidInputError
from aicd_core.settings import Settings

KEY_BYTES = 32
VARIABLE = "AICD_SIGNING_KEYS"
HOW_TO_MAKE = 'Make a key with:  echo "s1:$(head -c 32 /dev/urandom | base64)"'
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,50}")
FILE_NAME = "signing-keys.json"


class SigningKeys:
    """The keys by id: the first one signs, the public halves of all verify.

    Args:
        private: id and 32 bytes of each, the newest first; at least one.
        retired: public halves of keys that sign no more.
    """

    def __init__(
        self, private: Iterable[tuple[str, bytes]], retired: Mapping[str, Ed25519PublicKey] = MappingProxyType({})
    ) -> None:
        keys = {key_id: Ed25519PrivateKey.from_private_bytes(seed) for key_id, seed in private}
        self.newest = next(iter(keys))
        self._key = keys[self.newest]
        own = {key_id: key.public_key() for key_id, key in keys.items()}
        self.public: Mapping[str, Ed25519PublicKey] = MappingProxyType(
            {**own, **{key_id: key for key_id, key in retired.items() if key_id not in own}}
        )

    def sign(self, message: bytes) -> bytes:
        """The newest key's signature, 64 bytes."""
        return self._key.sign(message)


def load_signing_keys(settings: Settings) -> SigningKeys:
    """The keys of AICD_SIGNING_KEYS; where that is not set, those under the data directory, made if need be.

    Raises:
        InvalidInputError: the variable is not `id:base64,…`. The message shows no key.
        UnavailableError: the file cannot be read or made.
    """
    file = _file(settings)
    if settings.signing_keys is None:
        return _of_file(file.read_or_make())
    stored = file.read()
    retired = {} if stored is None else _of_file(stored).public
    return SigningKeys(_parse(settings.signing_keys.get_secret_value(), VARIABLE), retired)


def verifying_keys(settings: Settings) -> Mapping[str, Ed25519PublicKey]:
    """The public keys that are known here; none is made.

    Raises:
        InvalidInputError, UnavailableError: as `load_signing_keys`.
    """
    if settings.signing_keys is None and _file(settings).read() is None:
        return {}
    return load_signing_keys(settings).public


def rotate(settings: Settings) -> SigningKeys:
    """Puts a new key in the place of the one under the data directory, whose private half is forgotten.

    Raises:
        ConflictError: the keys are the operator's own, in AICD_SIGNING_KEYS.
    """
    if settings.signing_keys is not None:
        raise ConflictError(
            "The keys are in AICD_SIGNING_KEYS, which aicd cannot change. Put a new one in front of the others, and "
            f"keep those: their public halves still verify. {HOW_TO_MAKE}",
            code="keys_not_ours",
        )
    return _of_file(_file(settings).rotate())


def load_public_keys(text: str, name: str) -> Mapping[str, Ed25519PublicKey]:
    """Public keys as `aicd keys show` prints them, `id:base64` a line; blank lines and `#` comments count not.

    Args:
        name: what the text is called in errors.

    Raises:
        InvalidInputError: it is not of that form, or holds none.
    """
    lines = [line.strip() for line in text.splitlines()]
    entries = ",".join(line for line in lines if line and not line.startswith("#"))
    return {key_id: Ed25519PublicKey.from_public_bytes(raw) for key_id, raw in _parse(entries, name)}


def public_line(key_id: str, key: Ed25519PublicKey) -> str:
    """A public key as `load_public_keys` reads it."""
    return f"{key_id}:{base64.b64encode(key.public_bytes_raw()).decode()}"


def _file(settings: Settings) -> KeyFile:
    return KeyFile(Path(settings.resolved_data_dir()) / FILE_NAME)


def _of_file(stored: StoredKeys) -> SigningKeys:
    retired = {key_id: Ed25519PublicKey.from_public_bytes(raw) for key_id, raw in stored.retired.items()}
    return SigningKeys([(stored.key_id, stored.seed)], retired)


def _parse(text: str, name: str) -> list[tuple[str, bytes]]:
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    keys = [_parse_entry(number, entry, name) for number, entry in enumerate(entries, 1)]
    if not keys:
        raise InvalidInputError(f"{name} holds no key. {_advice(name)}", code="bad_keys")
    if len({key_id for key_id, _ in keys}) != len(keys):
        raise InvalidInputError(f"{name} names a key twice. Give each an id of its own.", code="bad_keys")
    return keys


def _advice(name: str) -> str:
    return HOW_TO_MAKE if name == VARIABLE else "`aicd keys show` prints public keys in this form."


def _parse_entry(number: int, entry: str, name: str) -> tuple[str, bytes]:
    key_id, colon, encoded = entry.partition(":")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not colon or not _KEY_ID.fullmatch(key_id) or len(key) != KEY_BYTES:
        raise InvalidInputError(
            f"Key number {number} of {name} is not `id:base64` with {KEY_BYTES} bytes behind the base64 (the value is "
            f"not shown). {_advice(name)}",
            code="bad_keys",
        )
    return key_id, key
