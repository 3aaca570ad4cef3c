"""Whether an event is Stripe's: https://docs.stripe.com/webhooks#verify-official-libraries."""

import re
import time
from dataclasses import dataclass, field

from aicd_backend.billing.stripe_api import BadSignature, verify_header
from aicd_core.errors import InvalidInputError

HEADER = "Stripe-Signature"
TOLERANCE = 300
"""Seconds that a signature is good for, as the SDK has it."""
AHEAD = 10
"""Seconds by which Stripe's clock may be ahead of ours. The SDK takes any time to come."""
SHORTEST = 16
_TIME = re.compile(r"(?:^|,)t=([0-9]{1,12})(?:,|$)")


@dataclass(frozen=True)
class Secrets:
    """What events are signed with: one secret for each endpoint at Stripe, and the ones before while they are replaced.

    Raises:
        InvalidInputError: there is none, or one is too short to be a secret.
    """

    values: tuple[str, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.values or min(map(len, self.values)) < SHORTEST:
            raise InvalidInputError(
                f"AICD_STRIPE_WEBHOOK_SECRETS needs at least one secret, and each at least {SHORTEST} characters. "
                "Stripe shows an endpoint's in its dashboard: `whsec_…`.",
                code="weak_webhook_secret",
            )

    @classmethod
    def parse(cls, text: str) -> "Secrets":
        """From the setting: secrets with commas between."""
        return cls(tuple(part.strip() for part in text.split(",") if part.strip()))

    def signed(self, body: bytes, header: str) -> bool:
        """Whether the header signs exactly these bytes, a short while ago."""
        times = _TIME.findall(header)
        if len(times) != 1 or int(times[0]) > time.time() + AHEAD:
            return False
        return any(self._signed_with(secret, body, header) for secret in self.values)

    def _signed_with(self, secret: str, body: bytes, header: str) -> bool:
        try:
            return bool(verify_header(body, header, secret, TOLERANCE))
        except (BadSignature, UnicodeDecodeError):
            return False
