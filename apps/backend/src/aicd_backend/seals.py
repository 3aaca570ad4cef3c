"""Texts that we hand out, get back, and want to know as our own: encrypted and signed, with a time.

The keys are made of AICD_SECRET_KEYS, one for each purpose, so that what was sealed for one is nothing for another.
"""

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from aicd_core.errors import UnavailableError
from aicd_core.tenancy.secrets.keyring import HOW_TO_MAKE, KEY_BYTES, parse_keys


class Seal:
    """Seals for one purpose. The first key seals, all of them open, so keys can be replaced one by one.

    Args:
        keys: AICD_SECRET_KEYS.
        purpose: what for; never used for anything else, and never changed.
    """

    def __init__(self, keys: SecretStr | None, purpose: str) -> None:
        parsed = parse_keys(keys.get_secret_value() if keys else None)
        self._ring = MultiFernet([_key(key, purpose) for _, key in parsed]) if parsed else None

    def close(self, content: Mapping[str, Any], now: datetime) -> str:
        """The content as a text of URL-safe characters that nobody else can read or make.

        Raises:
            UnavailableError: `no_secret_key`.
        """
        return self._fernet().encrypt_at_time(json.dumps(content).encode(), int(now.timestamp())).decode()

    def open(self, text: str, most: timedelta, now: datetime) -> dict[str, Any] | None:
        """What was sealed, or None when that was not here, not for this purpose or longer ago than `most`.

        Raises:
            UnavailableError: `no_secret_key`.
        """
        seconds = int(most.total_seconds())
        try:
            opened = self._fernet().decrypt_at_time(text.encode("utf-8", "replace"), seconds, int(now.timestamp()))
        except InvalidToken:
            return None
        content: dict[str, Any] = json.loads(opened)
        return content

    def _fernet(self) -> MultiFernet:
        if self._ring is None:
            raise UnavailableError(
                "AICD_SECRET_KEYS is not set, and logins and access tokens need it: the same on every API server. "
                f"{HOW_TO_MAKE}",
                code="no_secret_key",
            )
        return self._ring


def _key(key: bytes, purpose: str) -> Fernet:
    derived = HKDF(SHA256(), KEY_BYTES, salt=None, info=f"aicd {purpose}".encode()).derive(key)
    return Fernet(base64.urlsafe_b64encode(derived))
