"""Where a repository is on GitHub, or on a GitHub Enterprise Server. Pure."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from aicd_core.errors import InvalidInputError

PUBLIC_API = "https://api.github.com"
_ISSUE = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]{0,38})/([A-Za-z0-9._-]{1,100})#([1-9][0-9]{0,9})")
_PATH = re.compile(r"/([A-Za-z0-9][A-Za-z0-9-]{0,38})/([A-Za-z0-9._-]{1,100}?)(?:\.git)?/?")
_NO_NAMES = (".", "..", ".git")
_PORTS = {"http": 80, "https": 443}


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
    def key(self) -> str:
        """The same for every spelling: GitHub takes upper and lower case for the same, and keeps what was first."""
        return f"{web_of(self.api)}/{self.full_name}".lower()

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
    """The repository that a clone URL names; None when it is not one of this GitHub's.

    Raises:
        InvalidInputError: code `bad_repository_url`: it is on this GitHub, but names no repository there, or in a way
            that others could read otherwise.
    """
    try:
        parts, web = urlsplit(source), urlsplit(web_of(api))
        ours = parts.scheme in _PORTS and (parts.hostname, _port(parts)) in _places(web)
    except ValueError:
        return None
    if not ours:
        return None
    found = _PATH.fullmatch(parts.path)
    odd = parts.query or parts.fragment or "@" in parts.netloc or source != source.strip()
    if found is None or found[2] in _NO_NAMES or odd:
        raise InvalidInputError(
            f"{source!r} is no repository of {web_of(api)}. Write it as {web_of(api)}/OWNER/REPO.",
            code="bad_repository_url",
        )
    return RepositoryAddress(api, found[1], found[2])


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS[parts.scheme]


def _places(web: SplitResult) -> tuple[tuple[str | None, int], ...]:
    """Hosts and ports where this GitHub is; whoever asks without encryption is sent on from there."""
    here = (web.hostname, _port(web))
    return (here, (web.hostname, _PORTS["http"])) if here[1] == _PORTS["https"] else (here,)


def parse_issue(api: str, text: str) -> tuple[RepositoryAddress, int]:
    """`OWNER/REPO#N`, or the address of the issue's page.

    Raises:
        InvalidInputError: code `bad_issue_name`.
    """
    short = re.sub(r"^(.*)/issues/([0-9]+)$", r"\1#\2", text.removeprefix(f"{web_of(api)}/"))
    found = _ISSUE.fullmatch(short)
    if found is None or found[2] in _NO_NAMES:
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
