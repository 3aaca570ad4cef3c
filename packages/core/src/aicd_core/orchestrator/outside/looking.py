"""Looking at open pull requests: whether something new was said that begins a round, or that a person must see to."""

import logging
from dataclasses import dataclass, replace

from aicd_core.contracts import CodeHost, HostFeedback
from aicd_core.errors import AicdError, ErrorKind
from aicd_core.ids import JobId
from aicd_core.jobs.looks import repository as looks
from aicd_core.jobs.looks.values import Look
from aicd_core.jobs.machine import JobEvent, JobState
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator.moves import Mover
from aicd_core.orchestrator.outside.answering import answer_all, given_up
from aicd_core.orchestrator.outside.judging import Judged, judge
from aicd_core.orchestrator.outside.taking import conflict_with, conflicting_base, seen_before
from aicd_core.orchestrator.ports import Parts
from aicd_core.orchestrator.records import Records
from aicd_core.orchestrator.steps.context import StepResult
from aicd_core.orchestrator.telling import tell
from aicd_core.tenancy import Tenant
from aicd_core.tenancy.repositories import repository as repositories
from aicd_core.text import one_line

LOOK_SECONDS = 120.0
"""A look that was taken is nobody else's for so long; one that failed comes again then."""
MOST = 20
"""Looks of one turn at the chore."""
UNKNOWN_SECONDS = 20.0
"""Until a host that did not know whether a branch can be merged is asked again."""
ROUNDS_USED = "feedback_rounds"
_AGAIN = frozenset({ErrorKind.UNAVAILABLE, ErrorKind.CONFLICT, ErrorKind.INTERNAL})
_NOBODY = ""
_log = logging.getLogger(__name__)


async def look_at_pull_requests(parts: Parts) -> None:
    """Has every look that is due; what cannot be had now comes again."""
    for look in await looks.take_looks(parts.system.courier(), MOST, LOOK_SECONDS):
        try:
            again = await Looker(parts, Tenant(look.org_id)).look(look.job_id)
        except AicdError as error:
            _log.warning("the pull request of job %s could not be looked at: %s", look.job_id, error)
            if error.kind in _AGAIN:
                continue
            again = False
        except Exception:  # noqa: BLE001 # one job's trouble is no other's, and it comes again
            _log.exception("the pull request of job %s could not be looked at", look.job_id)
            continue
        await _end(parts, look, again=again)


async def _end(parts: Parts, look: Look, *, again: bool) -> None:
    await looks.end_look(parts.system.courier(), look)
    if again:
        async with parts.database.write(Tenant(look.org_id)) as session:
            await looks.ask_for_look(session, Tenant(look.org_id), look.job_id, UNKNOWN_SECONDS)


@dataclass(frozen=True)
class Looker:
    """Looks at the pull requests of one tenant."""

    parts: Parts
    tenant: Tenant

    async def look(self, job_id: JobId) -> bool:
        """Begins a round on what is new, if there is to be one; whoever looks again finds the same.

        Returns:
            whether to look again soon: the host does not know yet.

        Raises:
            AicdError: the host or the database refuses, or does not answer.
        """
        job = await self._mover.read(self.tenant, job_id)
        if job.state is not JobState.PR_OPEN:
            return False  # the end of the round at work has it looked at
        host = await self._host(job)
        found = await host.read_feedback(job.id)
        if found.state != "open":
            return False
        records = Records(self.parts.database, self.tenant, job.id, _NOBODY)
        seen = await seen_before(records, job.status.round + 1)
        judged = judge(found, seen, await records.trigger_rules())
        merged = await conflicting_base(host, job, found)
        conflict = merged is not None and conflict_with(merged) not in seen
        if judged.calls or conflict:
            await self._begin(job, host, found, judged, _reason(judged, conflict=conflict))
        return found.mergeable is None

    async def _begin(self, job: JobView, host: CodeHost, found: HostFeedback, judged: Judged, reason: str) -> None:
        most = self.parts.settings.max_feedback_rounds
        if job.status.feedback_rounds < most:
            await self._mover.push(self.tenant, job, StepResult(JobEvent.FEEDBACK, "feedback", reason))
            return
        why = f"{most} rounds of feedback were worked on, and there is more: {reason} A person has to go on."
        if job.code != ROUNDS_USED:
            now = await self._mover.push(self.tenant, job, StepResult(JobEvent.GIVEN_UP, ROUNDS_USED, why))
            if now is None:
                return  # it moved on at this very moment
            number = now.issue_number or found.number
            await tell(self.parts.database, host, replace(now, issue_number=number), self.parts.observe)
        words = given_up(f"{most} rounds of feedback were worked on, and that is the limit.")
        await answer_all(host, job.id, judged.threads, judged.unheard, words)

    @property
    def _mover(self) -> Mover:
        return Mover(self.parts.database, self.parts.dispatch, self.parts.observe, patience=0)

    async def _host(self, job: JobView) -> CodeHost:
        async with self.parts.database.read(self.tenant) as session:
            source = await repositories.get_source(session, self.tenant, job.repository_id)
        assert source is not None, "the database keeps a job's repository"
        return self.parts.hosts.at(source, self.tenant)


def _reason(judged: Judged, *, conflict: bool) -> str:
    """What there is, in one sentence."""
    counted = {
        "review": len(judged.reviews),
        "thread": len(judged.threads),
        "comment": len(judged.comments),
        "red check": len(judged.failed_checks),
    }
    parts = [f"{count} {name}{'' if count == 1 else 's'}" for name, count in counted.items() if count]
    parts += ["a base branch that moved and conflicts"] if conflict else []
    checks = ", ".join(one_line(check.name, 60) for check in judged.failed_checks[:5])
    return f"Feedback on the pull request: {', '.join(parts)}{f' ({checks})' if checks else ''}."
