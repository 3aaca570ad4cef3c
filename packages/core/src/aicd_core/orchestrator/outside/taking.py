"""The beginning of a round on feedback: what it is given is read once, and stored before anything is done about it."""

import asyncio

from aicd_core.contracts import CodedChange, CodeHost, HostFeedback, OutsideFeedback, PullRequest
from aicd_core.errors import StepFailedError
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator.outside.cleaning import cleaned
from aicd_core.orchestrator.outside.judging import judge
from aicd_core.orchestrator.records import Records


async def take_up(records: Records, host: CodeHost, job: JobView) -> OutsideFeedback | None:
    """What the job's present round is about; None before there was any feedback. A later run finds the same.

    Raises:
        StepFailedError: `pull_request_closed`: there is nothing to go on with.
        LeaseLostError: this worker no longer holds the job.
        AicdError: the host refuses, or does not answer.
    """
    number = job.status.first_round
    if not job.status.feedback_rounds:
        return None
    stored = await records.load(ArtifactKind.FEEDBACK, OutsideFeedback, number)
    if stored is not None:
        return stored
    found = await host.read_feedback(job.id)
    if found.state != "open" or found.head_sha is None:
        raise StepFailedError(f"The pull request is {found.state or 'gone'}.", code="pull_request_closed")
    judged = judge(found, await seen_before(records, number), await records.trigger_rules())
    published = await _published_before(records, number)
    merged = await conflicting_base(host, job, found)
    seen = judged.seen if merged is None else (*judged.seen, conflict_with(merged))
    made = OutsideFeedback(
        round=number,
        published_round=published,
        head_sha=found.head_sha,
        start_sha=merged or (found.head_sha if found.foreign else await _start_of(records, published)),
        merged_sha=merged,
        seen=seen,
        **await asyncio.to_thread(cleaned, judged),
    )
    return await records.keep(ArtifactKind.FEEDBACK, number, made)


async def seen_before(records: Records, number: int) -> frozenset[str]:
    """What the rounds before a number dealt with."""
    seen: set[str] = set()
    for before in range(2, number):
        found = await records.load(ArtifactKind.FEEDBACK, OutsideFeedback, before)
        seen.update(found.seen if found else ())
    return frozenset(seen)


async def conflicting_base(host: CodeHost, job: JobView, found: HostFeedback) -> str | None:
    """The tip of the base branch where that cannot be merged as it is; None where it can, or nobody knows."""
    return (await host.resolve_base(job.base_branch)).sha if found.mergeable is False else None


def conflict_with(base_sha: str) -> str:
    """What a conflict is called in `OutsideFeedback.seen`."""
    return f"conflict:{base_sha}"


async def _published_before(records: Records, number: int) -> int:
    for before in range(number - 1, 0, -1):
        if await records.load(ArtifactKind.PULL_REQUEST, PullRequest, before) is not None:
            return before
    raise AssertionError("there is no feedback before a pull request is open")


async def _start_of(records: Records, published: int) -> str:
    coded = await records.load(ArtifactKind.CHANGE, CodedChange, published)
    assert coded is not None, "what was published was coded"
    return coded.change_set.base_sha
