"""What must be true of an installation once the fire is out, each breach said in a sentence."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from aicd_core.jobs.machine import IllegalTransitionError, JobEvent, JobState, JobStatus, decide, stop
from aicd_core.testing.chaos.installation import Installation
from aicd_core.testing.chaos.repository import EventRow, JobRow, count_calls, list_events, list_jobs, list_replies
from aicd_core.testing.journaled import DIARY, Script
from aicd_core.testing.paid_model import PRICE


@dataclass(frozen=True)
class Payment:
    """Calls of the model: how many were paid, how many were needed, and the most that one request was paid."""

    paid: int
    needed: int
    most: int

    @classmethod
    def of(cls, installation: Installation) -> "Payment":
        paid = Counter(call.request for call in installation.model.calls())
        needed = count_calls(installation.urls.admin)
        return cls(paid.total(), needed, max(paid.values(), default=0))


def breaches(installation: Installation, at_risk: int, titles: Collection[str] | None = None) -> Iterator[str]:
    """Everything that is not as it must be after a run in which all jobs should have come to their pull requests.

    Args:
        at_risk: calls of the model that were perhaps in flight when their worker was struck.
        titles: the jobs that should have; None for all.
    """
    url = installation.urls.admin
    jobs, events = list_jobs(url), defaultdict[object, list[EventRow]](list)
    for event in list_events(url):
        events[event.job_id].append(event)
    for job in jobs:
        if titles is None or job.title in titles:
            yield from (f"job {job.id}: {what}" for what in _of_job(installation, job, events[job.id]))
    branches = installation.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/aicd").decode().split()
    if sorted(branches) != sorted(f"aicd/{job.id}" for job in jobs if titles is None or job.pull_requests):
        yield f"the branches are {branches}"
    payment = Payment.of(installation)
    if payment.paid - payment.needed > at_risk:
        yield f"{payment.paid} calls were paid, {payment.needed} were needed, and {at_risk} were at risk"


def _of_job(installation: Installation, job: JobRow, events: Sequence[EventRow]) -> Iterator[str]:
    script = Script(**json.loads(job.body.splitlines()[-1]))
    rounds = script.rejections + 1
    if job.status != JobStatus(JobState.PR_OPEN, round=rounds):
        yield f"it is {job.status}: {job.reason}"
        return
    if job.lease_owner is not None:
        yield f"{job.lease_owner} still holds it"
    yield from _of_events(job, events)
    needed = 1 + rounds * (script.turns + 1)
    if (job.calls, job.entries, job.spent) != (needed, needed, needed * PRICE.cost_micro_usd):
        yield f"{job.calls} calls in the journal, {job.entries} ledger entries, {job.spent} micro-USD; needed: {needed}"
    if job.pull_requests != 1:
        yield f"it has {job.pull_requests} pull requests"
    yield from _of_branch(installation, job, script)


def _of_events(job: JobRow, events: Sequence[EventRow]) -> Iterator[str]:
    """Walks the history through the machine."""
    status = JobStatus(JobState.QUEUED)
    if [event.version for event in events] != list(range(job.version + 1)):
        yield f"its events have the versions {[event.version for event in events]}, and it has {job.version}"
    for event, after in zip_longest(events[1:], events[2:]):
        assert event.event is not None, "only the first has none"
        stopped = event.event is JobEvent.CANCELLED and after is not None  # what goes on had only been stopped
        try:
            status = stop(status) if stopped else decide(status, event.event)
        except IllegalTransitionError as error:
            yield str(error)
        if status.state is not event.state:
            yield f"{event.event.value} led to {event.state.value}, not {status.state.value}"
    if status != job.status:
        yield f"its history leads to {status}, and it is {job.status}"
    published = sum(event.event is JobEvent.PUBLISHED for event in events)
    if published != 1:
        yield f"it was published {published} times"


def _of_branch(installation: Installation, job: JobRow, script: Script) -> Iterator[str]:
    """The branch has one commit, whose diary is what the journal's calls say, in their order."""
    branch = f"aicd/{job.id}"
    commits = installation.git("rev-list", "--count", f"main..{branch}").strip()
    if commits != b"1":
        yield f"its branch has {commits.decode()} commits"
    turns = [(number, turn) for number in range(1, script.rejections + 2) for turn in range(script.turns)]
    replies = list_replies(installation.urls.admin, job.id)
    lines = [b"%d %d %s" % (*turn, reply) for turn, reply in zip(turns, replies, strict=False)]
    diary = installation.git("show", f"{branch}:{DIARY}").splitlines()
    if diary != lines:
        yield f"its diary is {diary}, and the journal has {lines}"
