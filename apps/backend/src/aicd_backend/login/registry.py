"""The login providers of this process, by name."""

from collections.abc import Iterator
from typing import Protocol

from starlette.datastructures import QueryParams

from aicd_backend.login.attempts import Attempt
from aicd_backend.login.github import GithubLogin
from aicd_backend.login.oidc import OidcLogin
from aicd_backend.login_providers import GithubProvider, Provider
from aicd_backend.problems import RefusedError
from aicd_backend.seals import Seal
from aicd_backend.settings import BackendSettings
from aicd_core.tenancy.accounts.values import IdentityClaim


class ProviderLogin(Protocol):
    """Logging in at one provider."""

    @property
    def provider(self) -> Provider:
        """Its settings."""

    async def begin(self, attempt: Attempt) -> str:
        """Where the browser is sent to log in."""

    async def finish(self, answer: QueryParams, attempt: Attempt) -> IdentityClaim:
        """Who has logged in, by the answer that the browser came back with."""


class Logins:
    """All that settings name, and the seal of the logins that have been begun."""

    def __init__(self, settings: BackendSettings) -> None:
        self.seal = Seal(settings.secret_keys, "login attempt v1")
        self._by_name = {provider.name: _login(provider, settings) for provider in settings.login_providers}

    def __iter__(self) -> Iterator[Provider]:
        return (login.provider for login in self._by_name.values())

    def at(self, name: str) -> ProviderLogin:
        """The provider with this name.

        Raises:
            RefusedError: 404.
        """
        if (found := self._by_name.get(name)) is None:
            known = ", ".join(self._by_name) or "none is set, see docs/login.md"
            raise RefusedError(404, "login_provider_not_found", f"There is no such login provider. Known are: {known}.")
        return found


def _login(provider: Provider, settings: BackendSettings) -> ProviderLogin:
    redirect_uri = f"{settings.public_url}/v1/auth/{provider.name}/callback"
    if isinstance(provider, GithubProvider):
        return GithubLogin(provider, redirect_uri)
    return OidcLogin(provider, redirect_uri)
