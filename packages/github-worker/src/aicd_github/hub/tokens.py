"""Tokens for GitHub: a person's own, or an installation's, made for one repository and no more than is needed."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from aicd_core.errors import ForbiddenError, InvalidInputError, StepFailedError
from aicd_github.git.credentials import Access, Credential
from aicd_github.hub.address import RepositoryAddress
from aicd_github.hub.api import Answer, Api, AppKey, Login, Question, Secret
from aicd_github.hub.insisting import insist
from aicd_github.hub.refusals import moved, refused

Permissions = frozenset[tuple[str, str]]
MARGIN = timedelta(minutes=5)
"""A token that ends sooner is not used any more."""
GIT_USER = "x-access-token"
_NO_SUCH_REPOSITORY = "does not exist or is not accessible"
"""What GitHub says where a token is asked for by a name that the repository does not have any more."""
_CONTENTS: dict[Access, Permissions] = {
    Access.READ: frozenset({("contents", "read")}),
    Access.WRITE: frozenset({("contents", "write")}),
}


class Tokens(Protocol):
    """Tokens for one repository."""

    @property
    def is_app(self) -> bool:
        """Whether an App asks, which may do what no person's token can: check runs."""
        ...

    @property
    def app_id(self) -> int | None:
        """The App's number; None of a person's token."""
        ...

    async def token(self, needed: Permissions, *, fresh: bool = False) -> Secret:
        """A token that allows at least this.

        Raises:
            AicdError: none can be had; says why.
        """
        ...

    def forget(self, token: Secret) -> bool:
        """Drops a token that GitHub did not take; whether there can be another one."""
        ...

    async def login(self) -> str:
        """The name under which GitHub shows what is done with these tokens."""
        ...


@dataclass
class PersonalToken:
    """A person's token, as it is: GitHub narrows it no further."""

    api: Api
    secret: Secret
    is_app: bool = False
    app_id: int | None = None
    _login: str | None = None

    async def token(self, needed: Permissions, *, fresh: bool = False) -> Secret:  # noqa: ARG002 - it allows what it does
        return self.secret

    def forget(self, token: Secret) -> bool:  # noqa: ARG002 - there is no other one
        return False

    async def login(self) -> str:
        if self._login is None:
            answer = await ask_surely(self.api, Question("GET", "/user"), self.secret, "The token could not be checked")
            self._login = str(answer.data["login"])
        return self._login


@dataclass
class _Kept:
    secret: Secret
    expires_at: datetime


@dataclass
class App:
    """A GitHub App and the tokens of its installations, each kept until shortly before it ends."""

    api: Api
    key: AppKey
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _kept: dict[tuple[int, str, Permissions], _Kept] = field(default_factory=dict, repr=False)
    _installed: dict[str, int] = field(default_factory=dict, repr=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    _slug: str | None = None

    def on(self, address: RepositoryAddress, installation: Callable[[], Awaitable[int]]) -> "InstallationTokens":
        """Tokens for one repository.

        Args:
            installation: finds the number of the installation that covers it; raises when it may not be used.
        """
        return InstallationTokens(self, address, installation)

    async def installation_of(self, address: RepositoryAddress) -> int:
        """The number of the App's installation on a repository.

        Raises:
            NotFoundError: the App is not installed on it.
        """
        known = self._installed.get(address.key)
        if known is None:
            question = Question("GET", f"{address.path}/installation")
            what = f"The App's installation on {address.full_name} could not be found"
            known = int((await ask_surely(self.api, question, self.key, what)).data["id"])
            self._installed[address.key] = known
        return known

    async def slug(self) -> str:
        """The App's name in addresses."""
        if self._slug is None:
            answer = await ask_surely(self.api, Question("GET", "/app"), self.key, "The App could not be read")
            self._slug = str(answer.data["slug"])
        return self._slug

    async def token(self, installation: int, name: str, needed: Permissions, *, fresh: bool) -> Secret:
        """A token of an installation for the repository of this name."""
        key = (installation, name, needed)
        async with self._lock:
            kept = self._kept.get(key)
            if fresh or kept is None or kept.expires_at - self.now() < MARGIN:
                kept = self._kept[key] = await self._mint(*key)
            return kept.secret

    def forget(self, token: Secret) -> None:
        self._kept = {key: kept for key, kept in self._kept.items() if kept.secret != token}

    async def _mint(self, installation: int, name: str, needed: Permissions) -> _Kept:
        body = {"repositories": [name], "permissions": dict(sorted(needed))}
        question = Question("POST", f"/app/installations/{installation}/access_tokens", body)
        what = f"No token could be had for {name}"
        # Minting twice does no harm: a token that nobody has ends by itself.
        try:
            answer = await ask_surely(self.api, question, self.key, what, gone=True)
        except ForbiddenError:
            self._installed.clear()  # the App may be installed anew, under another number
            raise
        except StepFailedError as error:
            if _NO_SUCH_REPOSITORY not in error.message:
                raise
            raise moved(what, ", or the installation of the App no longer covers it") from error
        ends = datetime.fromisoformat(answer.data["expires_at"])
        return _Kept(Secret(answer.data["token"]), ends)


@dataclass(frozen=True)
class InstallationTokens:
    """`Tokens` of an App for one repository."""

    app: App
    address: RepositoryAddress
    installation: Callable[[], Awaitable[int]]
    is_app: bool = True

    @property
    def app_id(self) -> int:
        return self.app.key.app_id

    async def token(self, needed: Permissions, *, fresh: bool = False) -> Secret:
        return await self.app.token(await self.installation(), self.address.name, needed, fresh=fresh)

    def forget(self, token: Secret) -> bool:
        self.app.forget(token)
        return True

    async def login(self) -> str:
        return f"{await self.app.slug()}[bot]"


@dataclass(frozen=True)
class GitCredentials:
    """`Credentials` for git over HTTP: a token of its own for each fetch and push, that allows nothing else."""

    tokens: Tokens

    async def mint(self, access: Access) -> Credential:
        token = await self.tokens.token(_CONTENTS[access], fresh=True)
        return Credential(GIT_USER, token.value)


async def ask_surely(api: Api, question: Question, login: Login, what: str, *, gone: bool = False) -> Answer:
    """A call that may be repeated, until GitHub answers well; what it does not accept is asked once more.

    Args:
        gone: a 404 means that the installation was removed.

    Raises:
        AicdError: GitHub refuses, or does not answer.
    """
    answer = await insist(lambda: api.ask(question, login), what)
    if answer.status == 401:  # GitHub's servers do not all know a new key at once, and clocks differ: once more
        answer = await insist(lambda: api.ask(question, login), what)
    if answer.ok:
        return answer
    if gone and answer.status == 404:
        raise ForbiddenError(
            f"{what}: the App's installation is gone: it was removed. Install the App again.",
            code="installation_removed",
        )
    raise refused(what, answer)


def load_app_key(app_id: int, *, file: Path | None = None, text: str | None = None) -> AppKey:
    """An App's private key, from a file or as it is.

    Raises:
        InvalidInputError: code `bad_app_key`: it cannot be read, or is no RSA key in PEM. The key is in no message.
    """
    try:
        pem = file.read_text("ascii") if file is not None else (text or "").replace("\\n", "\n")
        key = load_pem_private_key(pem.encode(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        named = f"The file {file}" if file is not None else "The setting AICD_GITHUB_APP_KEY"
        raise InvalidInputError(
            f"{named} cannot be read as the App's private key. It is the .pem file that GitHub made, whole.",
            code="bad_app_key",
        ) from None
    return AppKey(app_id, pem)
