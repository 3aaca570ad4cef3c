"""Logging in at GitHub, which speaks OAuth 2 without OpenID Connect: who it is, its REST API tells."""

from typing import Any

from starlette.datastructures import QueryParams

from aicd_backend.login.attempts import Attempt, code_of_answer
from aicd_backend.login.protocol import Client, authorization_url, exchange_code, get_json
from aicd_backend.login_providers import GithubProvider
from aicd_core.errors import UnavailableError
from aicd_core.tenancy.accounts.values import IdentityClaim

SCOPE = "read:user user:email"
HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


class GithubLogin:
    """GitHub, or one GitHub Enterprise Server.

    Protocol: https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
    """

    def __init__(self, provider: GithubProvider, redirect_uri: str) -> None:
        self.provider = provider
        self._redirect_uri = redirect_uri

    async def begin(self, attempt: Attempt) -> str:
        """Where the browser is sent."""
        endpoint = f"{self.provider.url}/login/oauth/authorize"
        return authorization_url(self._client(), endpoint, state=attempt.state, nonce=None, verifier=attempt.verifier)

    async def finish(self, answer: QueryParams, attempt: Attempt) -> IdentityClaim:
        """Who has logged in. The subject is the account's number: names change hands.

        Raises:
            RefusedError: a check failed.
            UnavailableError: GitHub does not answer as it should.
        """
        code = code_of_answer(answer, attempt, None, says_issuer=False)
        endpoint = f"{self.provider.url}/login/oauth/access_token"
        tokens = await exchange_code(self._client(), endpoint, code=code, verifier=attempt.verifier)
        token = str(tokens.get("access_token"))
        user = await get_json(f"{self.provider.api}/user", token=token, headers=HEADERS)
        emails = await get_json(f"{self.provider.api}/user/emails?per_page=100", token=token, headers=HEADERS)
        try:
            return _claim(self.provider.url, user, emails)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnavailableError(
                f"{self.provider.url} said who you are in a way that is not understood. Try again later.",
                code="login_provider_unfit",
            ) from error

    def _client(self) -> Client:
        return Client(
            self.provider.client_id, self.provider.secret, self._redirect_uri, SCOPE, method="client_secret_post"
        )


def _claim(url: str, user: dict[str, Any], emails: list[dict[str, Any]]) -> IdentityClaim:
    primary = next((entry for entry in emails if entry["primary"] is True), None)
    return IdentityClaim(
        issuer=url,
        subject=str(int(user["id"])),
        email=str(primary["email"]) if primary else "",
        email_verified=primary is not None and primary["verified"] is True,
        name=str(user.get("name") or user["login"]),
    )
