"""What an operator may set of the API server, beyond what the whole product shares."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Discriminator, Field, SecretStr, Tag, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from aicd_backend.login_providers import LOOPBACK, GithubProvider, OidcProvider, kind_of
from aicd_core.settings import MIB, Settings
from aicd_core.tenancy.accounts.values import SessionLimits
from aicd_core.usage.billing.models import BillingMode

Origin = Annotated[str, Field(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$")]
"""Scheme, host and port, as a browser sends them (RFC 6454): lower case, no path, no slash at the end."""


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _parse(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("it is no JSON; see docs/login.md for an example") from None


Providers = Annotated[
    tuple[
        Annotated[
            Annotated[OidcProvider, Tag("oidc")] | Annotated[GithubProvider, Tag("github")], Discriminator(kind_of)
        ],
        ...,
    ],
    NoDecode,
    BeforeValidator(_parse),
]


class BackendSettings(Settings):
    """Settings of the API server; each field is the environment variable `AICD_<NAME>`."""

    dotenv: ClassVar[Path | None] = Path(".env")

    env: Literal["development", "production"] = Field(
        default="development", description="`production` refuses to start with settings that are unsafe there."
    )

    # GitHub delivers webhooks of up to 25 MB:
    # https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap
    body_max_bytes: int = Field(default=25 * MIB, gt=0, description="Largest request body taken.")
    ready_timeout: float = Field(default=2, gt=0, description="`/readyz` answers within so many seconds.")
    shutdown_timeout: int = Field(
        default=10, gt=0, description="Seconds that running requests get to finish after SIGTERM."
    )
    request_timeout: float = Field(default=30, gt=0, description="A request is answered within so many seconds.")
    rate_limit_address: int = Field(default=1200, gt=0, description="Requests a minute from one address.")
    rate_limit_credential: int = Field(default=600, gt=0, description="Requests a minute with one API key or login.")
    rate_limit_login: int = Field(
        default=120,
        gt=0,
        description="Logins begun or finished, and access tokens asked for, a minute from one address.",
    )
    streams_per_credential: int = Field(
        default=100, gt=0, description="Event streams open at once with one API key or login, on each server process."
    )
    organizations_per_person: int = Field(
        default=10,
        ge=0,
        description="Organizations of which one person may be an owner and still make another. 0: nobody makes any; "
        "`aicd admin bootstrap` does.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(),
        description="Addresses or networks of proxies, with commas between. Only they may say by X-Forwarded-For and "
        "X-Forwarded-Proto who asks and how.",
    )
    origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(),
        description="Origins of the front ends, with commas between, such as https://app.example.com. Only they may "
        "act with a session's cookie.",
    )
    public_url: Origin | None = Field(
        default=None, description="This server as browsers reach it, such as https://api.example.com."
    )
    cookie_secure: bool = Field(
        default=True,
        description="Cookies travel over TLS only. `false` is for trying things out on one machine, and taken only "
        "where AICD_PUBLIC_URL is http on it.",
    )
    login_providers: Providers = Field(
        default=(), description="Where people log in, as a JSON list; needs AICD_PUBLIC_URL and AICD_SECRET_KEYS."
    )
    portal: Path | None = Field(
        default=None,
        description="Folder of the developer portal, shown at /docs/; not set: where `make portal` puts it.",
    )
    local_repositories: bool = Field(
        default=False,
        description="Repositories may be paths on the server's machines: only where all organizations are one.",
    )
    session_idle_days: float = Field(default=7, gt=0, description="A login ends when it is not used for so many days.")
    session_days: float = Field(default=30, gt=0, description="A login ends after so many days at the latest.")

    stripe_key: SecretStr | None = Field(
        default=None, description="Stripe's secret or restricted key; billing is off without one (docs/billing.md)."
    )
    stripe_mode: BillingMode = Field(
        default=BillingMode.TEST,
        description="`test` or `live`: the key, its account and the database are of this mode.",
    )
    stripe_url: str | None = Field(default=None, description="Another address than Stripe's own; for tests.")
    billing_plans: Path | None = Field(default=None, description="The plans file; default: the one that is shipped.")
    billing_interval: float = Field(
        default=60, gt=0, description="Seconds between two looks for what is to be charged."
    )
    billing_rate: float = Field(
        default=50, gt=0, le=900, description="Meter events sent to Stripe a second, by one process."
    )
    billing_bundle: int = Field(
        default=1000, gt=0, le=5000, description="Charges of tokens that are told to Stripe in one meter event."
    )
    billing_lease: float = Field(
        default=120,
        ge=1,
        description="Seconds after which what a killed exporter was sending is sent by another; a call to Stripe is "
        "given up after a quarter of that.",
    )

    stripe_webhook_secrets: SecretStr | None = Field(
        default=None,
        description="What Stripe signs its events with, `whsec_…`, with commas between: one for each endpoint there, "
        "and while one is replaced, both.",
    )
    billing_grace_days: float = Field(
        default=7,
        ge=0,
        le=365,
        description="Days after a payment failed until no more work is done for the organization.",
    )
    billing_review: float = Field(
        default=10, gt=0, description="Seconds between two looks at caps, limits and overdue payments."
    )

    @field_validator("cookie_secure")
    @classmethod
    def _insecure_only_here(cls, value: bool, info: ValidationInfo) -> bool:
        parts = urlsplit(info.data.get("public_url") or "")
        if not value and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError("false is only for an AICD_PUBLIC_URL such as http://localhost:8080")
        return value

    @field_validator("login_providers")
    @classmethod
    def _usable(cls, value: Providers, info: ValidationInfo) -> Providers:
        names = [provider.name for provider in value]
        if len(names) != len(set(names)):
            raise ValueError("two providers have the same name")
        missing = [f"AICD_{name.upper()}" for name in ("public_url", "secret_keys") if not info.data.get(name)]
        if value and missing:
            raise ValueError(f"needs {' and '.join(missing)}")
        return value

    @field_validator("stripe_webhook_secrets")
    @classmethod
    def _with_a_key(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None and info.data.get("stripe_key") is None:
            raise ValueError("needs AICD_STRIPE_KEY: what an event says is read from Stripe")
        return value

    @field_validator("stripe_mode")
    @classmethod
    def _of_the_key(cls, value: BillingMode, info: ValidationInfo) -> BillingMode:
        key = info.data.get("stripe_key")
        if key is not None and not key.get_secret_value().startswith((f"sk_{value.value}_", f"rk_{value.value}_")):
            raise ValueError(
                f"{value.value} is not what AICD_STRIPE_KEY is of: such a key begins with sk_{value.value}_ or "
                f"rk_{value.value}_"
            )
        return value

    @property
    def login_cookie(self) -> str:
        """Name of the cookie of a login that has been begun."""
        return "__Host-aicd_login" if self.cookie_secure else "aicd_login"

    @property
    def session_cookie(self) -> str:
        """Name of the cookie; browsers take the prefix only with Secure, from this very host (RFC 6265bis, 4.1.3.2)."""
        return "__Host-aicd_session" if self.cookie_secure else "aicd_session"

    @property
    def session_limits(self) -> SessionLimits:
        """How long a login lasts."""
        return SessionLimits(timedelta(days=self.session_idle_days), timedelta(days=self.session_days))
