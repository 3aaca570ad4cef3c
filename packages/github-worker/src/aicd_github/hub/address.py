"""Where a repository is on GitHub, or on a GitHub Enterprise Server. Pure."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from aicd_core.errors import InvalidInputError

PUBLIC_API = "https://api.github.com"
_ISSUE = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]{0,38})/([A-Za-z0-9._-]{1,100})#([1-9][0-9]{0,9})")
_PATH = re.compile(r"/([A-Za-z0-9][A-Za-z0-9-]{0,38})/([A-Za-z0-9._-]{1,100}?)(?:\.git)?/?")


@dataclass(frozen=True)
class RepositoryAddress:
    """A repository; `api` is the base URL of the REST API that knows it, without a slash at the end."""

    api: str
    owner: str
    name: str

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def path(self) -> str:
        """Where the API has it."""
        return f"/repos/{self.owner}/{self.name}"

    @property
    def page(self) -> str:
        return f"{web_of(self.api)}/{self.full_name}"

    @property
    def clone_url(self) -> str:
        return f"{self.page}.git"


def checked_api(url: str) -> str:
    """The API's base URL in one spelling.

    Raises:
        InvalidInputError: code `bad_github_url`: no URL, or one that would send tokens over the network in the clear.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https") or "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidInputError(
            f"{url!r} is not the address of GitHub's API. It is {PUBLIC_API}, or https://HOST/api/v3 of a GitHub "
            "Enterprise Server (AICD_GITHUB_API_URL).",
            code="bad_github_url",
        )
    if parts.scheme == "http" and not _is_loopback(host):
        raise InvalidInputError(
            f"{url} is not encrypted, and tokens would be sent over it. Use https.", code="bad_github_url"
        )
    return url.rstrip("/")


def web_of(api: str) -> str:
    """Where people, and git, find what this API is about."""
    if api == PUBLIC_API:
        return "https://github.com"
    parts = urlsplit(api)
    if parts.netloc.startswith("api.") and parts.path in ("", "/"):  # data residency: api.NAME.ghe.com
        return f"{parts.scheme}://{parts.netloc.removeprefix('api.')}"
    return f"{parts.scheme}://{parts.netloc}"


def graphql_of(api: str) -> str:
    """Where GraphQL is, which is not below the REST API of a GitHub Enterprise Server."""
    return f"{api.removesuffix('/v3')}/graphql"


def address_of_source(api: str, source: str) -> RepositoryAddress | None:
    """The repository that a clone URL names; None when it is not one of this GitHub's."""
    web = web_of(api)
    found = _PATH.fullmatch(source.removeprefix(web)) if source.lower().startswith(f"{web.lower()}/") else None
    return RepositoryAddress(api, found[1], found[2]) if found else None


def parse_issue(api: str, text: str) -> tuple[RepositoryAddress, int]:
    """`OWNER/REPO#N`, or the address of the issue's page.

    Raises:
        InvalidInputError: code `bad_issue_name`.
    """
    short = re.sub(r"^(.*)/issues/([0-9]+)$", r"\1#\2", text.removeprefix(f"{web_of(api)}/"))
    found = _ISSUE.fullmatch(short)
    if found is None or found[2] in (".", ".."):
        raise InvalidInputError(
            f"{text!r} is not an issue of {web_of(api)}. Write it as OWNER/REPO#N, such as octocat/hello-world#12.",
            code="bad_issue_name",
        )
    return RepositoryAddress(api, found[1], found[2]), int(found[3])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
