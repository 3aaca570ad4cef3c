"""The JSON of GitHub's answers about pull requests, their reviews and what is said there; the rest is in `shapes`."""

from collections.abc import Iterable
from dataclasses import dataclass

from aicd_github.testing.github.shapes import Json, Shapes, stamp
from aicd_github.testing.github.state import Pull, Repository, Review, ReviewComment, User


@dataclass(frozen=True)
class PullShapes:
    """`rest` has the shapes of what they are made of."""

    rest: Shapes

    def pull(self, repo: Repository, pull: Pull, people: Iterable[User] = (), *, whole: bool = False) -> Json:
        """`people` are those asked for a review; `whole` is the form of one alone, the other that of a list."""
        issue = pull.issue
        here = f"{self.rest.api}/repos/{repo.full_name}/pulls/{issue.number}"
        told = self.rest.issue(repo, issue)
        kept = ("labels", "user", "title", "body", "state", "number", "locked", "created_at", "updated_at")
        one = f"{self.rest.web}/{repo.full_name}/pull/{issue.number}"
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
            "requested_reviewers": [self.rest.user(user) for user in people],
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
            "user": self.rest.user(repo.owner),
            "repo": self.rest.repository(repo),
        }

    def review(self, repo: Repository, pull: Pull, review: Review) -> Json:
        one = f"{self.rest.web}/{repo.full_name}/pull/{pull.issue.number}"
        url = f"{self.rest.api}/repos/{repo.full_name}/pulls/{pull.issue.number}"
        return {
            "id": review.id,
            "node_id": f"PRR_{review.id}",
            "user": self.rest.author(review.user),
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
        url = f"{self.rest.api}/repos/{repo.full_name}/pulls/comments/{comment.id}"
        one = f"{self.rest.web}/{repo.full_name}/pull/{pull.issue.number}"
        pull_url = f"{self.rest.api}/repos/{repo.full_name}/pulls/{pull.issue.number}"
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
            "user": self.rest.author(comment.user),
            "body": comment.body,
            "created_at": stamp(comment.created_at),
            "updated_at": stamp(comment.created_at),
            "html_url": f"{one}#discussion_r{comment.id}",
            "pull_request_url": pull_url,
            "author_association": "NONE",
            "_links": {"self": {"href": url}, "html": {"href": one}, "pull_request": {"href": pull_url}},
            **more,
        }
