"""What the comment on a job's issue says: how the job is, always in the same one place."""

import asyncio

from aicd_core.contracts import CodeHost, PullRequest
from aicd_core.errors import AicdError
from aicd_core.jobs.machine import JobState
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator.progress import Message, Observer
from aicd_core.text import one_line

PATIENCE = 60.0
"""Seconds that a job waits for its host to take a report."""
_WORDS = {
    JobState.QUEUED: "waits for a worker",
    JobState.PLANNING: "is being planned",
    JobState.AWAITING_APPROVAL: "has a plan that waits for approval",
    JobState.CODING: "is being coded",
    JobState.REVIEWING: "is being reviewed",
    JobState.PR_OPEN: "has an open pull request",
    JobState.PAUSED: "is paused",
    JobState.MERGED: "is done: its pull request was merged",
    JobState.CLOSED: "has ended: its pull request was closed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "was cancelled",
}
_REASON_MAX = 2000


def status_text(job: JobView, opened: PullRequest | None) -> str:
    """The comment, in Markdown. Pure."""
    lines = [
        f"**AI-CD:** this issue {_WORDS[job.state]}"
        + (f" (round {job.status.round})" if job.status.round else "")
        + "."
    ]
    if opened is not None:
        draft = " (a draft: a person must decide)" if opened.draft else ""
        lines.append(f"Pull request: {opened.url}{draft}")
    if job.reason:
        lines.append(f"> {_quoted(job.reason)}")
    lines.append(f"<sub>Job `{job.id}`, agent `{job.agent}`; `/aicd help` says how to steer it.</sub>")
    return "\n\n".join(lines)


def _quoted(reason: str) -> str:
    """On one line, without HTML, and naming nobody so that they are called."""
    return one_line(reason, _REASON_MAX).replace("<", "&lt;").replace("@", "@\u200b")


async def tell(host: CodeHost, job: JobView, opened: PullRequest | None, observe: Observer) -> None:
    """Has the issue say how its job is. The job goes on whatever comes of this: trouble is told and raises nothing."""
    if job.issue_number is None:
        return
    try:
        async with asyncio.timeout(PATIENCE):
            await host.report(job.id, job.issue_number, status_text(job, opened))
    except (AicdError, TimeoutError) as error:
        observe(Message(job.id, f"the issue could not be told: {f'{error}' or 'the host took too long'}"))
