"""Logging in to the console with an API key, before there is anybody who could let a person in (docs/decisions/0030).

What the browser keeps is no key: it says, sealed, which key it stands for, and that key is looked up at each use.
"""

import base64
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import SecretStr

from aicd_backend.seals import Seal
from aicd_backend.settings import BackendSettings
from aicd_core.errors import UnauthenticatedError
from aicd_core.ids import ApiKeyId
from aicd_core.tenancy.api_keys.values import KeyView
from aicd_core.tenancy.principals.values import KeyGrant
from aicd_core.tenancy.secrets.keyring import KEY_BYTES

PREFIX = "aicd_con_"
"""A scanner knows it by its look, as it does our other tokens."""
LASTS = timedelta(hours=12)
"""Never longer, however much it is used."""


class ConsoleLogins:
    """Makes and reads what stands for a key in a session's cookie.

    Where AICD_SECRET_KEYS is not set, outside of production, the seal is this process's own: such logins end with it.
    """

    def __init__(self, settings: BackendSettings) -> None:
        keys = settings.secret_keys
        if keys is None and settings.env != "production":
            keys = SecretStr(f"own:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}")
        self._seal = Seal(keys, "console login v1")

    def open(self, key: KeyView, now: datetime) -> str:
        """What the cookie holds.

        Raises:
            UnavailableError: `no_secret_key`.
        """
        content = {"key": key.id.hex, "prefix": key.prefix, "scopes": sorted(key.scopes)}
        return PREFIX + self._seal.close(content, now)

    def read(self, token: str, now: datetime) -> KeyGrant:
        """The key that a cookie stands for.

        Raises:
            UnauthenticatedError: `session_ended`; too old, or not made here.
        """
        content = self._seal.open(token.removeprefix(PREFIX), LASTS, now)
        if content is None:
            raise UnauthenticatedError("The login has ended. Log in again.", code="session_ended")
        return KeyGrant(ApiKeyId(UUID(content["key"])), content["prefix"], frozenset(content["scopes"]))
