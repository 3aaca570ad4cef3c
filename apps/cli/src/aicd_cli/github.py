"""GitHub for this process: its credentials from the settings, and the code hosts that they open.

Loaded only where GitHub is used: its client library takes half a second.
"""

from collections.abc import Awaitable, Callable

from aicd_core.contracts import Sandbox
from aicd_core.errors import InvalidInputError
from aicd_core.settings import Settings
from aicd_core.tenancy import Tenant
from aicd_github.hub.address import RepositoryAddress, address_of_source, checked_api, parse_issue
from aicd_github.hub.api import Api, Secret
from aicd_github.hub.host import GitHubCodeHost
from aicd_github.hub.tokens import App, PersonalToken, Tokens, load_app_key

FindInstallation = Callable[[str, Tenant | None], Awaitable[int | None]]
"""The number of the installation by which an organization reaches a repository, named by its source; None where the
App's own word counts."""


class GitHubHosts:
    """Makes code hosts of repositories on one GitHub.

    Args:
        installation: finds an organization's installation.

    Raises:
        InvalidInputError: neither an App nor a token is set, or they cannot be used.
    """

    def __init__(self, settings: Settings, sandbox: Sandbox, installation: FindInstallation) -> None:
        self._settings = settings
        self._sandbox = sandbox
        self._installation = installation
        self._api = Api(checked_api(settings.github_api_url), settings.github_timeout)
        self._app = _app(settings, self._api)
        token = settings.github_token
        self._token = PersonalToken(self._api, Secret(token.get_secret_value())) if token else None
        if self._app is None and self._token is None:
            raise InvalidInputError(
                "There is no way into GitHub. Set AICD_GITHUB_TOKEN to a token that may read and write contents, "
                "issues and pull requests, or make an App: aicd github setup",
                code="no_github_credentials",
            )

    async def read_issue(self, name: str) -> tuple[str, str]:
        """Title and text of the issue, as they are.

        Raises:
            AicdError: as `GitHubCodeHost.read_issue`.
        """
        address, number = parse_issue(self._api.base_url, name)
        return await self._host(address, None).read_issue(number)

    def at(self, source: str, tenant: Tenant | None) -> GitHubCodeHost | None:
        """The host of a repository; None when its source is not on this GitHub."""
        address = address_of_source(self._api.base_url, source)
        return None if address is None else self._host(address, tenant)

    def _host(self, address: RepositoryAddress, tenant: Tenant | None) -> GitHubCodeHost:
        """The host of a repository; its mirror, and its cache, are the organization's own."""
        place = self._settings.resolved_data_dir()
        return GitHubCodeHost(
            *(address, self._tokens(address, tenant), self._api, place, self._sandbox, self._settings.command_timeout),
            mirrors=place / "mirrors" / (str(tenant.org_id) if tenant else "nobody"),
            caches=place / "caches" / str(tenant.org_id) if tenant else None,
        )

    def _tokens(self, address: RepositoryAddress, tenant: Tenant | None) -> Tokens:
        app = self._app
        if app is None:
            assert self._token is not None, "one of both is set"
            return self._token

        async def installation() -> int:
            known = await self._installation(address.clone_url, tenant)
            return await app.installation_of(address) if known is None else known

        return app.on(address, installation)


def _app(settings: Settings, api: Api) -> App | None:
    if settings.github_app_id is None:
        return None
    text = settings.github_app_key.get_secret_value() if settings.github_app_key else None
    if text is None and settings.github_app_key_file is None:
        raise InvalidInputError(
            "AICD_GITHUB_APP_ID is set without the App's key. Set AICD_GITHUB_APP_KEY_FILE, or AICD_GITHUB_APP_KEY.",
            code="bad_app_key",
        )
    file = None if text is not None else settings.github_app_key_file
    return App(api, load_app_key(settings.github_app_id, file=file, text=text))
