"""How a vendor's server is reached: address, key, patience with silence."""

from dataclasses import dataclass

from pydantic import SecretStr

from aicd_core.errors import UnavailableError

NO_KEY = "none"
"""Sent to a server of the operator's own that asks for no key; the SDKs insist on some text."""


@dataclass(frozen=True)
class Access:
    """The way to a server.

    Args:
        variable: the environment variable that the key is from, for errors.
        base_url: None is the vendor's own.
        stall: seconds without a byte after which a call has failed.
    """

    variable: str
    key: SecretStr | None
    base_url: str | None
    stall: float

    def secret(self) -> str:
        """The key.

        Raises:
            UnavailableError: code `model_key_missing`: there is none, and the vendor wants one.
        """
        if self.key is not None and self.key.get_secret_value():
            return self.key.get_secret_value()
        if self.base_url is not None:
            return NO_KEY
        raise UnavailableError(
            f"{self.variable} is not set, so no model can be called. Set it to a key of the vendor's and run the same "
            "command again: the job goes on.",
            code="model_key_missing",
        )
