"""The JSON of GitHub's answers, whole enough for GitHub's own description of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aicd_github.testing.github.state import (
    App,
    CheckRun,
    Comment,
    Installation,
    Issue,
    Pull,
    Repository,
    Review,
    ReviewComment,
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

    def pull(self, repo: Repository, pull: Pull, people: Iterable[User] = (), *, whole: bool = False) -> Json:
        """`people` are those asked for a review; `whole` is the form of one alone, the other that of a list."""
        issue = pull.issue
        here, page = f"{self.api}/repos/{repo.full_name}/pulls/{issue.number}", f"{self.web}/{repo.full_name}/pull"
        told = self.issue(repo, issue)
        kept = ("labels", "user", "title", "body", "state", "number", "locked", "created_at", "updated_at")
        one = f"{page}/{issue.number}"
        links = {
            **{name: {"href": f"{here}/{name}"} for name in ("commits", "statuses", "review_comments")},
            "comments": {"href": told["comments_url"]},
            "issue": {"href": told["url"]},
            "review_comment": {"href": f"{here}/comments{{/number}}"},
            "self": {"href": here},
            "html": {"href": one},
        }
        return {
            **{name: told[name] for name in (*kept, "comments_url", "assignee", "assignees", "milestone")},
            **{f"{name}_url": f"{here}/{name}" for name in ("commits", "review_comments", "statuses")},
            "id": pull.id,
            "node_id": f"PR_{pull.id}",
            "url": here,
            "html_url": one,
            "diff_url": f"{one}.diff",
            "patch_url": f"{one}.patch",
            "issue_url": told["url"],
            "review_comment_url": f"{here}/comments{{/number}}",
            "_links": links,
            "draft": pull.draft,
            "closed_at": None if issue.state == "open" else stamp(issue.updated_at),
            "merged_at": stamp(pull.merged_at),
            "merge_commit_sha": None,
            "head": self._end(pull.fork or repo, pull.head, pull.head_sha),
            "base": self._end(repo, pull.base, pull.base_sha),
            "requested_reviewers": [self.user(user) for user in people],
            "requested_teams": [],
            "author_association": "NONE",
            "auto_merge": None,
            **(self._measures(pull) if whole else {}),
        }

    def _measures(self, pull: Pull) -> Json:
        counts = ("comments", "review_comments", "commits", "additions", "deletions", "changed_files")
        merged = {"merged": pull.merged_at is not None, "merged_by": None, "mergeable": True, "rebaseable": True}
        return dict.fromkeys(counts, 0) | merged | {"mergeable_state": "clean", "maintainer_can_modify": False}

    def _end(self, repo: Repository, branch: str, sha: str) -> Json:
        label = f"{repo.owner.login}:{branch}"
        return {
            "label": label,
            "ref": branch,
            "sha": sha,
            "user": self.user(repo.owner),
            "repo": self.repository(repo),
        }

    def review(self, repo: Repository, pull: Pull, review: Review) -> Json:
        one = f"{self.web}/{repo.full_name}/pull/{pull.issue.number}"
        url = f"{self.api}/repos/{repo.full_name}/pulls/{pull.issue.number}"
        return {
            "id": review.id,
            "node_id": f"PRR_{review.id}",
            "user": self.author(review.user),
            "body": review.body,
            "state": review.state,
            "commit_id": review.commit_id,
            "submitted_at": stamp(review.submitted_at),
            "html_url": f"{one}#pullrequestreview-{review.id}",
            "pull_request_url": url,
            "_links": {"html": {"href": one}, "pull_request": {"href": url}},
            "author_association": "NONE",
        }

    def review_comment(self, repo: Repository, pull: Pull, comment: ReviewComment) -> Json:
        url = f"{self.api}/repos/{repo.full_name}/pulls/comments/{comment.id}"
        one = f"{self.web}/{repo.full_name}/pull/{pull.issue.number}"
        pull_url = f"{self.api}/repos/{repo.full_name}/pulls/{pull.issue.number}"
        more = {} if comment.in_reply_to is None else {"in_reply_to_id": comment.in_reply_to}
        return {
            "id": comment.id,
            "node_id": f"PRRC_{comment.id}",
            "url": url,
            "pull_request_review_id": comment.review_id,
            "diff_hunk": "@@ -1 +1 @@",
            "path": comment.path,
            "line": comment.line,
            "commit_id": comment.commit_id,
            "original_commit_id": comment.commit_id,
            "user": self.author(comment.user),
            "body": comment.body,
            "created_at": stamp(comment.created_at),
            "updated_at": stamp(comment.created_at),
            "html_url": f"{one}#discussion_r{comment.id}",
            "pull_request_url": pull_url,
            "author_association": "NONE",
            "_links": {"self": {"href": url}, "html": {"href": one}, "pull_request": {"href": pull_url}},
            **more,
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
