"""Code hosts of all repositories that a process may meet."""

import importlib
from typing import Protocol, cast

from aicd_cli.runtime import LocalHosts
from aicd_core.contracts import CodeHost, Sandbox
from aicd_core.db.database import Database
from aicd_core.settings import Settings
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.repositories.service import installation_of
from aicd_github.local.host import LocalCodeHost


class GitHubHosts(Protocol):
    """What `aicd_cli.github` makes."""

    def at(self, source: str, tenant: Tenant | None) -> CodeHost | None: ...

    async def read_issue(self, name: str) -> tuple[str, str]: ...


class GitHubModule(Protocol):
    """What `aicd_cli.github` offers."""

    def GitHubHosts(self, settings: Settings, sandbox: Sandbox, installation: object) -> GitHubHosts: ...  # noqa: N802


class Hosts:
    """Code hosts of all repositories: GitHub's, as far as its credentials are set, and those of `LocalHosts`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._local = LocalHosts(settings)
        self._github: GitHubHosts | None = None
        self._guarded: Database | None = None
        self._own: Tenant | None = None
        self.sandbox = self._local.sandbox

    def guard(self, database: Database, own: Tenant | None) -> None:
        """Lets organizations into their own repositories only; to be called by whoever works for many.

        An App opens what the organization's installation covers, and a person's token what its own organization asks
        for.

        Args:
            own: whose the person's token is; None: it opens nothing.
        """
        self._guarded, self._own = database, own

    @property
    def guarded(self) -> bool:
        """Whether organizations are let into their own repositories only."""
        return self._guarded is not None

    def at(self, source: str, tenant: Tenant | None = None) -> CodeHost:
        found = None
        if source.startswith(("https://", "http://")) and self._has_credentials(tenant):
            found = self.github().at(source, tenant)
        return found or self._local.at(source, tenant)

    def local(self, source: str) -> LocalCodeHost:
        """A repository seen by git alone, wherever it is."""
        return self._local.at(source)

    def github(self) -> "GitHubHosts":
        """GitHub.

        Raises:
            InvalidInputError: no credentials for it are set, or they cannot be used.
        """
        if self._github is None:
            module = cast("GitHubModule", importlib.import_module("aicd_cli.github"))
            self._github = module.GitHubHosts(self._settings, self.sandbox, self._installation)
        return self._github

    def _has_credentials(self, tenant: Tenant | None) -> bool:
        if self._settings.github_app_id is not None:
            return True
        ours = self._guarded is None or tenant is None or tenant == self._own
        return self._settings.github_token is not None and ours

    async def _installation(self, source: str, tenant: Tenant | None) -> int | None:
        """The installation that the organization has; None where the App's own word counts."""
        if self._guarded is None or tenant is None:
            return None
        async with self._guarded.read(tenant) as session:
            found = await installation_of(session, tenant, source, self._settings.github_api_url)
        return found.external_id
