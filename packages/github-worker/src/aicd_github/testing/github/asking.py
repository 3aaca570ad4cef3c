"""Who asks, and what they may: an app by its signed token, an installation, or a person."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt

from aicd_github.testing.github.state import LEVELS, App, Installation, Repository, Token, User, World, now

_LONGEST_JWT = 600
"""Seconds; GitHub refuses a token that is good for longer."""


class RefusedError(Exception):
    """An answer other than the one that was hoped for."""

    def __init__(self, status: int, message: str, errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
        if errors is not None:
            self.body |= {"errors": errors}  # type: ignore[dict-item]


@dataclass(frozen=True)
class Who:
    """Whoever asks: an app as itself, or the holder of a token."""

    app: App | None = None
    token: Token | None = None

    def require_app(self) -> App:
        if self.app is None:
            raise RefusedError(401, "A JSON web token could not be decoded")
        return self.app

    def require_token(self) -> Token:
        if self.token is None:
            raise RefusedError(401, "Bad credentials")
        return self.token


def secret_of(authorization: str | None) -> str | None:
    """The token in an `Authorization` header: Bearer, token, or the password of Basic."""
    kind, _, rest = (authorization or "").partition(" ")
    if kind.lower() in ("bearer", "token"):
        return rest
    if kind.lower() == "basic":
        return base64.b64decode(rest).decode().partition(":")[2]
    return None


def who(world: World, authorization: str | None) -> Who:
    """Raises RefusedError: the credentials are good for nothing."""
    secret = secret_of(authorization)
    if secret is None:
        return Who()
    if secret.count(".") == 2:
        return Who(app=_app(world, secret))
    for token in world.tokens:
        if token.secret == secret and not token.revoked and token.expires_at > now():
            _require_present(token.installation)
            return Who(token=token)
    raise RefusedError(401, "Bad credentials")


def _require_present(installed: Installation | None) -> None:
    if installed is not None and installed.removed:
        raise RefusedError(401, "Bad credentials")
    if installed is not None and installed.suspended_at is not None:
        raise RefusedError(403, "This installation has been suspended")


def _app(world: World, token: str) -> App:
    issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    app = next((app for app in world.apps if str(app.id) == str(issuer)), None)
    if app is None:
        raise RefusedError(401, "Integration not found")
    try:
        claims = jwt.decode(token, app.public_key, algorithms=["RS256"], leeway=0, options={"verify_iat": False})
    except jwt.InvalidTokenError as error:
        raise RefusedError(401, "A JSON web token could not be decoded") from error
    if claims["iat"] > datetime.now(UTC).timestamp():
        raise RefusedError(401, "'Issued at' claim ('iat') must be an Integer representing the time in the past")
    if claims["exp"] - datetime.now(UTC).timestamp() > _LONGEST_JWT:
        raise RefusedError(401, "'Expiration time' claim ('exp') is too far in the future")
    return app


def require(token: Token, repo: Repository, permission: str, access: str) -> None:
    """Raises RefusedError: 404 for a repository that the token does not reach, 403 for a permission that it lacks."""
    if token.installation is not None:
        if repo.id not in token.repositories or repo.id not in token.installation.repositories:
            raise RefusedError(404, "Not Found")
        granted = token.permissions.get(permission, "none")
        if LEVELS.index(granted) < LEVELS.index(access):
            raise RefusedError(403, "Resource not accessible by integration")
        return
    level = level_of(repo, token.user.login)
    if level == "none" and repo.private:
        raise RefusedError(404, "Not Found")
    if access == "write" and LEVELS.index(level) < LEVELS.index("write" if permission != "issues" else "read"):
        raise RefusedError(403, "Resource not accessible by personal access token")


def level_of(repo: Repository, login: str) -> str:
    """What a person may do in a repository."""
    if login == repo.owner.login:
        return "admin"
    return repo.permissions.get(login, "none" if repo.private else "read")


def minted(installed: Installation, sent: dict[str, Any], known: list[Repository]) -> Token:
    """A token of the installation, narrowed as asked; asking for more than it has is refused, as GitHub does."""
    if installed.suspended_at is not None:
        raise RefusedError(403, "This installation has been suspended")
    permissions = sent.get("permissions") or installed.permissions
    for name, access in permissions.items():
        if LEVELS.index(access) > LEVELS.index(installed.permissions.get(name, "none")):
            raise RefusedError(422, "The permissions requested are not granted to this installation.")
    mine = [repo for repo in known if repo.id in installed.repositories and repo.owner is installed.account]
    chosen = [repo for repo in mine if "repositories" not in sent or repo.name in sent["repositories"]]
    if len(chosen) < len(sent.get("repositories", [])):
        raise RefusedError(
            422, "There is at least one repository that does not exist or is not accessible to the parent."
        )
    return Token(User(installed.app.bot, "Bot"), installed, dict(permissions), frozenset(repo.id for repo in chosen))
