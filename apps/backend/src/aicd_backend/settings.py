"""What an operator may set of the API server, beyond what the whole product shares."""

from pydantic import Field

from aicd_core.settings import MIB, Settings


class BackendSettings(Settings):
    """Settings of the API server; each field is the environment variable `AICD_<NAME>`."""

    # GitHub delivers webhooks of up to 25 MB:
    # https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap
    body_max_bytes: int = Field(default=25 * MIB, gt=0, description="Largest request body taken.")
    ready_timeout: float = Field(default=2, gt=0, description="`/readyz` answers within so many seconds.")
    shutdown_timeout: int = Field(
        default=10, gt=0, description="Seconds that running requests get to finish after SIGTERM."
    )
