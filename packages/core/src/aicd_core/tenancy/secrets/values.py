"""Secrets as the rest of the program sees them: without their values."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class SecretView:
    """What may be shown of a secret. `key_id` names the key that encrypted it."""

    name: str
    key_id: str
    revision: int
    created_at: datetime


@dataclass(frozen=True)
class SealedSecret:
    """A secret as it is stored."""

    name: str
    key_id: str
    ciphertext: bytes
