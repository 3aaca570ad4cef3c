"""Access tokens: short-lived stand-ins for an API key, for programs that speak OAuth 2's client credentials.

A token is sealed and kept nowhere. It says which key it was issued for, and that key is looked up at each use, in the
one round trip that a key takes: what is revoked, expired or deleted there ends the token at once.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from aicd_backend.seals import Seal
from aicd_backend.settings import BackendSettings
from aicd_core.errors import UnauthenticatedError
from aicd_core.ids import ApiKeyId
from aicd_core.tenancy.api_keys.values import KeyView
from aicd_core.tenancy.principals.values import KeyGrant

PREFIX = "aicd_acc_"
"""A scanner knows it by its look, as it does our other tokens."""
LASTS = timedelta(minutes=15)


class AccessTokens:
    """Issues and reads them."""

    def __init__(self, settings: BackendSettings) -> None:
        self._seal = Seal(settings.secret_keys, "access token v1")

    def issue(self, key: KeyView, scopes: Collection[str], now: datetime) -> str:
        """A token that may do what these scopes say, for as long as `LASTS`.

        Raises:
            UnavailableError: `no_secret_key`.
        """
        content = {"key": key.id.hex, "prefix": key.prefix, "scopes": sorted(scopes)}
        return PREFIX + self._seal.close(content, now)

    def read(self, token: str, now: datetime) -> KeyGrant:
        """What a token that a program has sent stands for.

        Raises:
            UnauthenticatedError: `access_token_ended`; too old, or not made here.
            UnavailableError: `no_secret_key`.
        """
        content = self._seal.open(token.removeprefix(PREFIX), LASTS, now)
        if content is None:
            raise UnauthenticatedError("The access token has ended. Ask for another one.", code="access_token_ended")
        return KeyGrant(ApiKeyId(UUID(content["key"])), content["prefix"], frozenset(content["scopes"]))
