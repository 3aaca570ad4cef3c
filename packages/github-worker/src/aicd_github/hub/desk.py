"""GitHub's desk: see `aicd_github.desk`."""

from dataclasses import dataclass

from aicd_core.errors import ConflictError, NotFoundError
from aicd_core.ids import JobId
from aicd_core.tenancy.triggers import RepositoryPermission
from aicd_github.desk import IssueNow, PullState, Reaction, job_of_branch
from aicd_github.hosting.host import branch_of
from aicd_github.hub.client import Client
from aicd_github.hub.effects import READ_ISSUES, READ_PULLS, WRITE_ISSUES, Effects, is_own
from aicd_github.hub.people import READ_METADATA, permission_of


@dataclass(frozen=True)
class HubDesk:
    """`Desk` of a repository on GitHub."""

    client: Client
    effects: Effects

    async def login(self) -> str:
        return await self.client.tokens.login()

    async def name_now(self) -> str:
        what = f"The repository {self.client.address.full_name} could not be read"
        return str((await self.client.get("", READ_METADATA, what))["full_name"])

    async def permission_of(self, login: str) -> RepositoryPermission:
        """See `Desk`."""
        return await permission_of(self.client, login)

    async def issue(self, number: int) -> IssueNow | None:
        what = f"The issue {self.client.address.full_name}#{number} could not be read"
        try:
            found = await self.client.get(f"/issues/{number}", READ_ISSUES, what)
        except NotFoundError:
            return None
        except ConflictError as error:
            if error.code != "github_moved":
                raise
            return None  # it was transferred, and the answer says where to
        if "pull_request" in found:
            return None
        return IssueNow(
            title=str(found["title"]),
            body=str(found["body"] or ""),
            open=found["state"] == "open",
            labels=frozenset(str(label["name"]) for label in found["labels"]),
            assignees=frozenset(str(account["login"]) for account in found["assignees"] or ()),
        )

    async def pull_state(self, job_id: JobId) -> PullState | None:
        pull = await self.effects.find_pull(branch_of(job_id))
        if pull is None:
            return None
        return "open" if pull["state"] == "open" else "merged" if pull["merged_at"] else "closed"

    async def job_of_pull(self, number: int) -> JobId | None:
        what = f"The pull request #{number} could not be read"
        pull = await self.client.get(f"/pulls/{number}", READ_PULLS, what)
        return job_of_branch(pull["head"]["ref"]) if is_own(pull) else None

    async def react(self, comment: int, reaction: Reaction) -> None:
        """See `Desk`. GitHub keeps one of a kind by each account."""
        path, what = f"/issues/comments/{comment}/reactions", f"Comment {comment} could not be reacted to"
        try:
            await self.client.put("POST", path, {"content": reaction}, WRITE_ISSUES, what)
        except NotFoundError:
            return

    async def say(self, issue: int, text: str) -> None:
        await self.effects.say(issue, text)
