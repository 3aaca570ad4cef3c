"""One call of the REST API while it is answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aicd_github.testing.git_server import run_git
from aicd_github.testing.github.asking import RefusedError, Who, require
from aicd_github.testing.github.shapes import Shapes
from aicd_github.testing.github.state import Issue, Pull, Repository, Token, World

_PAGE = 30
_LARGEST_PAGE = 100
_LONGEST_BODY = 65536


@dataclass(frozen=True)
class Reply:
    """An answer; `headers` beside those that every answer has."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] | None = None
    text: bool = False


@dataclass(frozen=True)
class Call:
    """What is asked, by whom; `path` are the parts of the address."""

    world: World
    shapes: Shapes
    who: Who
    path: Mapping[str, str]
    query: Mapping[str, str]
    sent: dict[str, Any]

    @property
    def token(self) -> Token:
        return self.who.require_token()

    def repo(self, permission: str, access: str = "read") -> Repository:
        """The repository of the address, if the caller may do this to it."""
        found = self.world.repository(self.path["owner"], self.path["repo"])
        if found is None:
            self.who.require_token()
            moved = f"{self.path['owner']}/{self.path['repo']}" in self.world.former
            raise RefusedError(301, "Moved Permanently") if moved else RefusedError(404, "Not Found")
        require(self.token, found, permission, access)
        return found

    def issue(self, repo: Repository) -> Issue:
        found = repo.issues.get(int(self.path["issue_number"]))
        if found is None:
            raise RefusedError(404, "Not Found")
        return found

    def pull(self, repo: Repository) -> Pull:
        found = repo.pulls.get(int(self.path["pull_number"]))
        if found is None:
            raise RefusedError(404, "Not Found")
        refresh(repo, found)
        return found

    def text(self, name: str, *, needed: bool = True) -> str:
        """A text that was sent, no longer than GitHub takes."""
        value = self.sent.get(name)
        if value is None and not needed:
            return ""
        if not isinstance(value, str) or (needed and not value):
            raise invalid(name, "missing_field")
        if len(value) > _LONGEST_BODY:
            raise RefusedError(422, f"Validation Failed: {name} is too long (maximum is {_LONGEST_BODY} characters)")
        return value

    def page(self, items: Sequence[Any]) -> tuple[list[Any], dict[str, str]]:
        """The page of a list that was asked for, and the header that tells of the next one."""
        size = min(int(self.query.get("per_page", _PAGE)), _LARGEST_PAGE)
        number = int(self.query.get("page", 1))
        shown = list(items[(number - 1) * size : number * size])
        if number * size >= len(items):
            return shown, {}
        return shown, {"Link": f'<{self.shapes.api}/?page={number + 1}&per_page={size}>; rel="next"'}

    def listed(self, items: Sequence[Any]) -> Reply:
        """A page of a list as an answer."""
        shown, headers = self.page(items)
        return Reply(shown, headers=headers)


def invalid(name: str, code: str, message: str | None = None) -> RefusedError:
    """GitHub's answer to a field that it cannot use."""
    told = {"resource": "Issue", "field": name, "code": code}
    return RefusedError(422, "Validation Failed", [told if message is None else told | {"message": message}])


def ref_sha(repo: Repository, ref: str) -> str | None:
    """What a ref (`refs/…`) points to in the bare repository; None when it has no such ref."""
    done = run_git(repo.folder, "rev-parse", "--verify", "--quiet", ref)
    return done.stdout.decode().strip() if done.returncode == 0 else None


def refresh(repo: Repository, pull: Pull) -> None:
    """Follows the branches of an open pull request; one whose branch is gone is closed, as on GitHub."""
    if pull.issue.state != "open":
        return
    head = ref_sha(pull.fork or repo, f"refs/heads/{pull.head}")
    if head is None:
        pull.issue.state = "closed"
    else:
        pull.head_sha = head
    pull.base_sha = ref_sha(repo, f"refs/heads/{pull.base}") or pull.base_sha
