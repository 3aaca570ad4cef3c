"""The JSON of GitHub's answers, whole enough for GitHub's own description of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aicd_github.testing.github.state import (
    App,
    CheckRun,
    Comment,
    Installation,
    Issue,
    Repository,
    User,
)

Json = dict[str, Any]

_USER_URLS = ("events", "followers", "following", "gists", "organizations", "received_events", "repos", "starred")
_REPO_URLS = (
    *("archive", "assignees", "blobs", "branches", "collaborators", "comments", "commits", "compare", "contents"),
    *("contributors", "deployments", "downloads", "events", "forks", "git_commits", "git_refs", "git_tags", "hooks"),
    *("issue_comment", "issue_events", "issues", "keys", "labels", "languages", "merges", "milestones"),
    *("notifications", "pulls", "releases", "stargazers", "statuses", "subscribers", "subscription", "tags", "teams"),
    "trees",
)
_REPO_COUNTS = (
    *("forks", "forks_count", "open_issues", "open_issues_count", "size", "stargazers_count", "watchers"),
    *("watchers_count", "network_count", "subscribers_count"),
)
_REPO_FLAGS = ("archived", "disabled", "fork", "has_discussions", "has_pages", "has_projects", "has_wiki")


def stamp(when: datetime | None) -> str | None:
    return None if when is None else when.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Shapes:
    """Args: `api` and `web`: base URLs, without a slash at the end."""

    api: str
    web: str

    def user(self, user: User) -> Json:
        here = f"{self.api}/users/{user.login}"
        return {
            **{f"{name}_url": f"{here}/{name}" for name in (*_USER_URLS, "subscriptions")},
            "login": user.login,
            "id": user.id,
            "node_id": f"U_{user.id}",
            "avatar_url": f"{self.web}/avatars/{user.id}",
            "gravatar_id": "",
            "url": here,
            "html_url": f"{self.web}/{user.login}",
            "type": user.kind,
            "site_admin": False,
        }

    def author(self, user: User) -> Json | None:
        """A deleted account, which pages show as `ghost`, is null."""
        return None if user.login == "ghost" else self.user(user)

    def repository(self, repo: Repository) -> Json:
        here, page = f"{self.api}/repos/{repo.full_name}", f"{self.web}/{repo.full_name}"
        return {
            **{f"{name}_url": f"{here}/{name}" for name in _REPO_URLS},
            **dict.fromkeys(_REPO_COUNTS, 0),
            **dict.fromkeys(_REPO_FLAGS, False),
            **dict.fromkeys(("description", "homepage", "language", "mirror_url", "license"), None),
            "has_issues": True,
            "has_downloads": True,
            "id": repo.id,
            "node_id": f"R_{repo.id}",
            "name": repo.name,
            "full_name": repo.full_name,
            "owner": self.user(repo.owner),
            "private": repo.private,
            "url": here,
            "html_url": page,
            "svn_url": page,
            "clone_url": f"{page}.git",
            "git_url": f"{page}.git",
            "ssh_url": f"git@localhost:{repo.full_name}.git",
            "default_branch": repo.default_branch,
            "visibility": "private" if repo.private else "public",
            **dict.fromkeys(("created_at", "updated_at", "pushed_at"), stamp(repo.created_at)),
        }

    def app(self, app: App) -> Json:
        return {
            "id": app.id,
            "slug": app.slug,
            "node_id": f"A_{app.id}",
            "client_id": f"Iv1.{app.id}",
            "owner": self.user(app.owner),
            "name": app.slug,
            "description": None,
            "external_url": "https://example.com",
            "html_url": f"{self.web}/apps/{app.slug}",
            "created_at": stamp(app.created_at),
            "updated_at": stamp(app.created_at),
            "permissions": app.permissions,
            "events": [],
        }

    def installation(self, installed: Installation) -> Json:
        here = f"{self.api}/app/installations/{installed.id}"
        return {
            "id": installed.id,
            "account": self.user(installed.account),
            "app_id": installed.app.id,
            "app_slug": installed.app.slug,
            "target_id": installed.account.id,
            "target_type": installed.account.kind,
            "permissions": installed.permissions,
            "events": [],
            "repository_selection": "selected",
            "single_file_name": None,
            "access_tokens_url": f"{here}/access_tokens",
            "repositories_url": f"{self.api}/installation/repositories",
            "html_url": f"{self.web}/settings/installations/{installed.id}",
            "created_at": stamp(installed.created_at),
            "updated_at": stamp(installed.created_at),
            "suspended_at": stamp(installed.suspended_at),
            "suspended_by": None if installed.suspended_at is None else self.user(installed.account),
        }

    def label(self, repo: Repository, name: str) -> Json:
        url = f"{self.api}/repos/{repo.full_name}/labels/{name}"
        number = sum(name.encode())
        told = {"id": number, "node_id": f"L_{number}", "url": url, "name": name, "description": "", "color": "ededed"}
        return told | {"default": False}

    def issue(self, repo: Repository, issue: Issue) -> Json:
        here, kind = f"{self.api}/repos/{repo.full_name}/issues/{issue.number}", "issues"
        more: Json = {}
        if issue.number in repo.pulls:
            kind = "pull"
            url = f"{self.api}/repos/{repo.full_name}/pulls/{issue.number}"
            page = f"{self.web}/{repo.full_name}/pull/{issue.number}"
            urls = {"url": url, "html_url": page, "diff_url": f"{page}.diff", "patch_url": f"{page}.patch"}
            more = {"pull_request": urls}
        return {
            **{f"{name}_url": f"{here}/{name}" for name in ("comments", "events", "labels")},
            "id": issue.id,
            "node_id": f"I_{issue.id}",
            "number": issue.number,
            "url": here,
            "html_url": f"{self.web}/{repo.full_name}/{kind}/{issue.number}",
            "repository_url": f"{self.api}/repos/{repo.full_name}",
            "title": issue.title,
            "body": issue.body,
            "state": issue.state,
            "user": self.user(issue.user),
            "labels": [self.label(repo, name) for name in issue.labels],
            "assignee": None,
            "assignees": [self.user(user) for user in issue.assignees],
            "milestone": None,
            "locked": False,
            "comments": len(issue.comments),
            "created_at": stamp(issue.created_at),
            "updated_at": stamp(issue.updated_at),
            "closed_at": None,
            "author_association": "NONE",
            **more,
        }

    def comment(self, repo: Repository, issue: Issue, comment: Comment) -> Json:
        page = f"{self.web}/{repo.full_name}/issues/{issue.number}#issuecomment-{comment.id}"
        return {
            "id": comment.id,
            "node_id": f"IC_{comment.id}",
            "url": f"{self.api}/repos/{repo.full_name}/issues/comments/{comment.id}",
            "html_url": page,
            "issue_url": f"{self.api}/repos/{repo.full_name}/issues/{issue.number}",
            "user": self.author(comment.user),
            "body": comment.body,
            "created_at": stamp(comment.created_at),
            "updated_at": stamp(comment.updated_at),
            "author_association": "NONE",
        }

    def check_run(self, repo: Repository, run: CheckRun, app: App) -> Json:
        url = f"{self.api}/repos/{repo.full_name}/check-runs/{run.id}"
        output = {name: run.output.get(name) for name in ("title", "summary", "text")}
        counted = {"annotations_count": len(run.annotations), "annotations_url": f"{url}/annotations"}
        return {
            "id": run.id,
            "node_id": f"CR_{run.id}",
            "name": run.name,
            "head_sha": run.head_sha,
            "external_id": run.external_id,
            "url": url,
            "html_url": f"{self.web}/{repo.full_name}/runs/{run.id}",
            "details_url": f"{self.web}/{repo.full_name}/runs/{run.id}",
            "status": run.status,
            "conclusion": run.conclusion,
            "started_at": stamp(run.started_at),
            "completed_at": stamp(run.started_at) if run.status == "completed" else None,
            "output": output | counted,
            "check_suite": {"id": run.id},
            "app": self.app(app),
            "pull_requests": [],
        }
