"""Login providers as an operator sets them: AICD_LOGIN_PROVIDERS, a list in JSON."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
GITHUB = "https://github.com"


def require_trusted_url(url: str) -> str:
    """The URL itself, if what is said there cannot be overheard or altered on the way.

    Raises:
        ValueError: neither https nor on this very machine.
    """
    parts = urlsplit(url)
    private = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if private and parts.hostname and not parts.username and not parts.fragment:
        return url
    raise ValueError("must be https://HOST/…; http only on this machine")


TrustedUrl = Annotated[str, AfterValidator(require_trusted_url)]


class _Provider(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(pattern=r"^[a-z0-9-]{1,40}$", description="Its name in our URLs, such as `github`.")
    label: str = Field(default="", max_length=60, description="What people read on the button; the name if not set.")
    client_id: str = Field(min_length=1, description="Of the application that was registered there.")
    client_secret: SecretStr | None = Field(default=None, description="Its secret.")
    client_secret_file: Path | None = Field(default=None, description="A file with the secret and nothing else.")

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.client_secret is not None and self.client_secret_file is not None:
            raise ValueError("give client_secret or client_secret_file, not both")
        if self.client_secret_file is not None:
            self._read(self.client_secret_file)
        return self

    @property
    def secret(self) -> str | None:
        """The client's secret, read anew so that it can be replaced; None for a public client."""
        if self.client_secret_file is not None:
            return self._read(self.client_secret_file)
        return self.client_secret.get_secret_value() if self.client_secret else None

    def _read(self, file: Path) -> str:
        try:
            return file.expanduser().read_text().strip()
        except (OSError, ValueError) as error:
            raise ValueError(f"client_secret_file {file} cannot be read") from error


class OidcProvider(_Provider):
    """A provider that speaks OpenID Connect."""

    kind: Literal["oidc"] = "oidc"
    issuer: TrustedUrl = Field(description="As its discovery document spells it, to the last slash.")


class GithubProvider(_Provider):
    """GitHub, or a GitHub Enterprise Server, which speak OAuth 2 and no OpenID Connect."""

    kind: Literal["github"]
    url: TrustedUrl = Field(default=GITHUB, pattern=r"[^/]$", description="Where people use it.")

    @property
    def api(self) -> str:
        """Its REST API."""
        return "https://api.github.com" if self.url == GITHUB else f"{self.url}/api/v3"


def kind_of(value: object) -> str:
    """What a provider's entry says it speaks; `oidc` where it says nothing."""
    kind = value.get("kind", "oidc") if isinstance(value, dict) else getattr(value, "kind", "oidc")
    return str(kind)


Provider = OidcProvider | GithubProvider
"""Where people may log in."""
