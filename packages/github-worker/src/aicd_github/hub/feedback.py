"""What people and checks said about a pull request."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aicd_core.contracts.outside import FailedCheck, HostFeedback, HostReview, Thread, ThreadComment
from aicd_core.errors import AicdError
from aicd_github.hub.addressing import addresses, is_command
from aicd_github.hub.client import Client
from aicd_github.hub.effects import READ_ISSUES, READ_PULLS, author_of
from aicd_github.hub.people import people_of

READ_CHECKS = frozenset({("checks", "read")})
READ_STATUSES = frozenset({("statuses", "read")})
READ_ACTIONS = frozenset({("actions", "read")})
LOG_TAIL = 16 * 1024
"""Bytes of a failed job's log; its end tells most."""
_RED = frozenset({"failure", "timed_out", "startup_failure"})
"""Conclusions that say something about the commit; `cancelled` says something about whoever cancelled."""
_ACTIONS = "github-actions"
_VERDICTS: dict[str, Literal["approved", "changes_requested", "commented"]] = {
    "APPROVED": "approved",
    "CHANGES_REQUESTED": "changes_requested",
    "COMMENTED": "commented",
}


@dataclass(frozen=True)
class Said:
    """Everything that was said about a pull request, as GitHub has it."""

    comments: Sequence[dict[str, Any]]
    reviews: Sequence[dict[str, Any]]
    below: Sequence[dict[str, Any]]
    login: str

    def accounts(self) -> dict[str, str]:
        """The kind of each account that said something, by its login."""
        said = (*self.comments, *self.reviews, *self.below)
        return {author_of(one): str((one["user"] or {}).get("type", "")) for one in said}


async def read(client: Client, number: int) -> Said:
    """What was said about a pull request: on its lines, in reviews and below it."""
    what = f"What was said about pull request #{number} could not be read"
    return Said(
        comments=await client.get_all(f"/pulls/{number}/comments", READ_PULLS, what),
        reviews=await client.get_all(f"/pulls/{number}/reviews", READ_PULLS, what),
        below=await client.get_all(f"/issues/{number}/comments", READ_ISSUES, what),
        login=await client.tokens.login(),
    )


async def feedback_of(client: Client, pull: dict[str, Any], *, head_sha: str, foreign: bool) -> HostFeedback:
    """All that `HostFeedback` tells of a pull request.

    Args:
        head_sha: where its branch is by git's word, which is never older than the API's.
    """
    number = pull["number"]
    state = "open" if pull["state"] == "open" else "merged" if pull["merged_at"] else "closed"
    if state != "open":
        return HostFeedback(state=state, number=number, head_sha=head_sha, foreign=foreign)
    said = await read(client, number)
    whole = await client.get(f"/pulls/{number}", READ_PULLS, f"Pull request #{number} could not be read")
    return HostFeedback(
        state=state,
        number=number,
        head_sha=head_sha,
        foreign=foreign,
        mergeable=whole["mergeable"],
        threads=threads_of(said.comments, said.login),
        reviews=reviews_of(said.reviews, said.login),
        comments=comments_of(said.below, said.login),
        failed_checks=await failed_checks(client, head_sha),
        people=await people_of(client, said.accounts(), said.login),
    )


def threads_of(comments: Sequence[dict[str, Any]], login: str) -> tuple[Thread, ...]:
    """Review comments put together to threads, oldest first. Pure."""
    by_thread: dict[int, list[dict[str, Any]]] = {}
    for comment in sorted(comments, key=lambda c: int(c["id"])):
        by_thread.setdefault(int(comment.get("in_reply_to_id") or comment["id"]), []).append(comment)
    return tuple(_thread(number, said, login) for number, said in by_thread.items())


def _thread(number: int, said: list[dict[str, Any]], login: str) -> Thread:
    first, last = said[0], said[-1]
    return Thread(
        id=number,
        path=first["path"],
        line=first.get("line") or first.get("original_line"),
        start_line=first.get("start_line"),
        comments=tuple(_comment(c, login) for c in said),
        answered=author_of(last) == login,
    )


def _comment(said: dict[str, Any], login: str) -> ThreadComment:
    text = said["body"] or ""
    return ThreadComment(
        id=said["id"],
        author=author_of(said),
        body=text,
        to_us=addresses(text, login),
        review=said.get("pull_request_review_id"),
    )


def comments_of(below: Iterable[dict[str, Any]], login: str) -> tuple[ThreadComment, ...]:
    """What others said below a pull request to us by name, oldest first; commands are somebody else's to obey. Pure."""
    found = (_comment(said, login) for said in below if author_of(said) != login)
    return tuple(comment for comment in found if comment.to_us and not is_command(comment.body))


def reviews_of(reviews: Iterable[dict[str, Any]], login: str) -> tuple[HostReview, ...]:
    """Reviews by others, oldest first; those that were dismissed, or are not sent yet, are left out. Pure."""
    return tuple(
        HostReview(
            id=review["id"],
            author=author_of(review),
            verdict=_VERDICTS[review["state"]],
            body=review["body"] or "",
            head_sha=review["commit_id"] or "",
            to_us=addresses(review["body"] or "", login),
        )
        for review in reviews
        if review["state"] in _VERDICTS and author_of(review) != login
    )


async def failed_checks(client: Client, sha: str) -> tuple[FailedCheck, ...]:
    """The red checks and statuses of a commit, but for our own."""
    what = f"The checks of {sha[:12]} could not be read"
    runs = await client.get_all(f"/commits/{sha}/check-runs", READ_CHECKS, what, filter="latest")
    ours = client.tokens.app_id
    red = [run for run in runs if run["conclusion"] in _RED and (ours is None or _app(run) != ours)]
    found = [await _failed(client, run) for run in red]
    combined = await client.get(f"/commits/{sha}/status", READ_STATUSES, what, per_page=100)
    for status in combined["statuses"]:
        if status["state"] in ("failure", "error"):
            summary, name = status["description"] or "", status["context"]
            found.append(
                FailedCheck(key=f"status/{name}", name=name, summary=summary, log="", url=status["target_url"])
            )
    return tuple(found)


async def _failed(client: Client, run: dict[str, Any]) -> FailedCheck:
    output = run["output"]
    words = [output["title"] or "", output["summary"] or ""]
    log = output["text"] or ""
    if (run["app"] or {}).get("slug") == _ACTIONS:
        log = await _job_log(client, run["id"]) or log
    summary = "\n".join(word for word in words if word)
    key = f"{_app(run)}/{run['name']}"
    return FailedCheck(key=key, name=run["name"], summary=summary, log=log[-LOG_TAIL:], url=run["html_url"])


def _app(run: dict[str, Any]) -> int | None:
    """The number of the App that made a check; names can be anybody's."""
    return (run["app"] or {}).get("id")


async def _job_log(client: Client, job: int) -> str:
    """The end of an Actions job's log; '' when it cannot be had: the App need not have the permission."""
    try:
        what = f"The log of job {job} could not be read"
        content = await client.log(f"/actions/jobs/{job}/logs", READ_ACTIONS, what, LOG_TAIL)
    except AicdError:
        return ""
    return (content or b"").decode("utf-8", "replace")
