"""GitHub's signature of a delivery: https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries."""

import hashlib
import hmac
import re
from dataclasses import dataclass, field

from aicd_core.errors import InvalidInputError

HEADER = "X-Hub-Signature-256"
SHORTEST = 16
"""Characters of a secret; with fewer, somebody may guess it from one delivery."""
_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")


def well_formed(header: str | None) -> bool:
    """Whether this could be a signature, so that the body is worth reading."""
    return header is not None and _SIGNATURE.fullmatch(header) is not None


def sign(secret: str, body: bytes) -> str:
    """The header's value for a body."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


@dataclass(frozen=True)
class Secrets:
    """What deliveries are signed with: the secret, and while it is being replaced, the one before.

    Raises:
        InvalidInputError: one is too short to be a secret.
    """

    current: str = field(repr=False)
    previous: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, secret in (("", self.current), ("_PREVIOUS", self.previous)):
            if secret is not None and len(secret) < SHORTEST:
                raise InvalidInputError(
                    f"AICD_GITHUB_WEBHOOK_SECRET{name} has {len(secret)} characters; a secret has at least {SHORTEST}. "
                    "Make one with `openssl rand -hex 32`, and set it in the App's settings as well.",
                    code="weak_webhook_secret",
                )

    def signed(self, body: bytes, header: str) -> bool:
        """Whether the header signs exactly these bytes. How long this takes tells nothing about the secrets."""
        secrets = filter(None, (self.current, self.previous))
        matches = [hmac.compare_digest(sign(secret, body).encode(), header.encode()) for secret in secrets]
        return any(matches)
