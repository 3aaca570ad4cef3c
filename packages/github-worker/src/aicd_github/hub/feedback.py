"""What people and checks said about a pull request."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from aicd_core.contracts.code_host import FailedCheck, HostReview, Thread, ThreadComment
from aicd_core.errors import AicdError
from aicd_github.hub import render
from aicd_github.hub.client import Client
from aicd_github.hub.effects import READ_PULLS, author_of

READ_CHECKS = frozenset({("checks", "read")})
READ_STATUSES = frozenset({("statuses", "read")})
READ_ACTIONS = frozenset({("actions", "read")})
LOG_TAIL = 16 * 1024
"""Bytes of a failed job's log; its end tells most."""
_RED = frozenset({"failure", "timed_out", "cancelled", "startup_failure"})
_ACTIONS = "github-actions"
_VERDICTS: dict[str, Literal["approved", "changes_requested", "commented"]] = {
    "APPROVED": "approved",
    "CHANGES_REQUESTED": "changes_requested",
    "COMMENTED": "commented",
}


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
        comments=tuple(ThreadComment(id=c["id"], author=author_of(c), body=c["body"] or "") for c in said),
        answered=author_of(last) == login,
    )


def reviews_of(reviews: Iterable[dict[str, Any]], login: str) -> tuple[HostReview, ...]:
    """Reviews by others, oldest first; those that were dismissed, or are not sent yet, are left out. Pure."""
    return tuple(
        HostReview(
            id=review["id"],
            author=author_of(review),
            verdict=_VERDICTS[review["state"]],
            body=review["body"] or "",
            head_sha=review["commit_id"] or "",
        )
        for review in reviews
        if review["state"] in _VERDICTS and author_of(review) != login
    )


async def threads_and_reviews(
    client: Client, number: int, login: str
) -> tuple[tuple[Thread, ...], tuple[HostReview, ...]]:
    """What people said about a pull request."""
    what = f"What was said about pull request #{number} could not be read"
    comments = await client.get_all(f"/pulls/{number}/comments", READ_PULLS, what)
    reviews = await client.get_all(f"/pulls/{number}/reviews", READ_PULLS, what)
    return threads_of(comments, login), reviews_of(reviews, login)


async def failed_checks(client: Client, sha: str) -> tuple[FailedCheck, ...]:
    """The red checks and statuses of a commit, but for our own."""
    what = f"The checks of {sha[:12]} could not be read"
    runs = await client.get_all(f"/commits/{sha}/check-runs", READ_CHECKS, what, filter="latest")
    red = [run for run in runs if run["conclusion"] in _RED and run["name"] != render.CHECK]
    found = [await _failed(client, run) for run in red]
    combined = await client.get(f"/commits/{sha}/status", READ_STATUSES, what, per_page=100)
    for status in combined["statuses"]:
        if status["state"] in ("failure", "error"):
            summary = status["description"] or ""
            found.append(FailedCheck(name=status["context"], summary=summary, log="", url=status["target_url"]))
    return tuple(found)


async def _failed(client: Client, run: dict[str, Any]) -> FailedCheck:
    output = run["output"]
    words = [output["title"] or "", output["summary"] or ""]
    log = output["text"] or ""
    if (run["app"] or {}).get("slug") == _ACTIONS:
        log = await _job_log(client, run["id"]) or log
    summary = "\n".join(word for word in words if word)
    return FailedCheck(name=run["name"], summary=summary, log=log[-LOG_TAIL:], url=run["html_url"])


async def _job_log(client: Client, job: int) -> str:
    """The end of an Actions job's log; '' when it cannot be had: the App need not have the permission."""
    try:
        what = f"The log of job {job} could not be read"
        content = await client.log(f"/actions/jobs/{job}/logs", READ_ACTIONS, what, LOG_TAIL)
    except AicdError:
        return ""
    return (content or b"").decode("utf-8", "replace")
