"""The three calls of the agent; everything it knows is in the issue, the plan and the evidence."""

import asyncio
from typing import Final

from aicd_core.agents.dummy.candidates import (
    Candidate,
    Refused,
    apply_candidate,
    check_candidates,
    no_candidate,
    place,
    read_candidate,
)
from aicd_core.agents.dummy.git_apply import git_reasons
from aicd_core.agents.dummy.planning import make_plan, planned_moves, planned_numbers
from aicd_core.agents.dummy.reviewing import make_review
from aicd_core.agents.dummy.watch import watch
from aicd_core.contracts.agent import AgentSession
from aicd_core.contracts.change import Change
from aicd_core.contracts.evidence import Evidence, Feedback, PolicyVerdict
from aicd_core.contracts.plan import Plan
from aicd_core.contracts.review import Review
from aicd_core.contracts.task import Task
from aicd_core.contracts.workspace import Workspace
from aicd_core.errors import StepFailedError
from aicd_core.text import number_of

_REASON: Final = 1_500
"""Characters of an earlier round's findings that the last error repeats."""


class DummyAgent:
    """Carries out the diffs of an issue, in order, the next one when the one before is rejected.

    Round n tries the n-th diff that the plan found usable, each on the untouched base.
    """

    async def plan(self, task: Task, errors: tuple[str, ...], workspace: Workspace, session: AgentSession) -> Plan:
        if errors:
            raise StepFailedError(
                "The plan made of the issue's diffs was refused, and without a model there is no other: "
                + " ".join(errors),
                code="plan_refused",
            )
        usable, refused = await check_candidates(task, workspace, session)
        if not usable:
            raise no_candidate(refused)
        return make_plan(task, usable, refused)

    async def code(
        self, task: Task, plan: Plan, feedback: Feedback | None, workspace: Workspace, session: AgentSession
    ) -> Change:
        number = 1 if feedback is None else feedback.round + 1
        candidate = await asyncio.to_thread(_candidate_of_round, task, plan, number)
        if candidate is None:
            raise _exhausted(plan, feedback)
        watch(session, "Going back to the base commit")
        await workspace.reset()
        watch(session, f"Applying diff {candidate.number} of the issue")
        placed = await place(candidate, workspace)
        if isinstance(placed, Refused):
            raise _stale(candidate, placed.refusal.reason)
        result = await apply_candidate(placed, workspace)
        if not result.ok:
            raise _stale(candidate, git_reasons(result.output))
        return Change(
            summary=f"Applied diff {candidate.number} of the issue ({number_of(len(candidate.files), 'file')})."
        )

    async def review(self, task: Task, plan: Plan, evidence: Evidence, session: AgentSession) -> Review:
        candidate = await asyncio.to_thread(_candidate_of_round, task, plan, evidence.round)
        if candidate is None:
            raise StepFailedError(
                f"Round {evidence.round} cannot be reviewed: the plan has no diff for it.",
                code="foreign_plan",
            )
        watch(session, f"Comparing the change with diff {candidate.number} of the issue")
        placed = candidate.moved(planned_moves(plan, candidate.number))
        return await asyncio.to_thread(make_review, placed, plan, evidence)


def _candidate_of_round(task: Task, plan: Plan, number: int) -> Candidate | None:
    """The diff that the plan sets for a round (from 1); None when the plan has no more."""
    planned = planned_numbers(plan)
    if not 1 <= number <= len(planned):
        return None
    texts = task.diffs()
    chosen = planned[number - 1]
    candidate = read_candidate(chosen, texts[chosen - 1]) if chosen <= len(texts) else None
    if candidate is None or isinstance(candidate, Refused):
        raise StepFailedError(
            f"The plan names diff {chosen}, which the issue no longer spells out. Start the job anew.",
            code="foreign_plan",
        )
    return candidate


def _stale(candidate: Candidate, reason: str) -> StepFailedError:
    return StepFailedError(
        f"Diff {candidate.number} of the issue no longer applies to the base commit, though it did when the plan "
        f"was made: {reason}.",
        code="patch_does_not_apply",
    )


def _exhausted(plan: Plan, feedback: Feedback | None) -> StepFailedError:
    tried = len(planned_numbers(plan))
    opening = f"All usable diffs of the issue were tried ({tried}) and none was accepted."
    if feedback is None:
        return StepFailedError(opening, code="candidates_exhausted")
    if feedback.policy.verdict is PolicyVerdict.DENY:
        faults = [f"{finding.message} {finding.remedy}".strip() for finding in feedback.policy.findings]
        said, code = "Policy denied the last one", "policy_denied"
    else:
        faults = [finding.message for finding in feedback.review.findings]
        said, code = "Of the last one the review says", "candidates_exhausted"
    reasons = " ".join(faults) or "no reason given."
    if len(reasons) > _REASON:
        reasons = f"{reasons[:_REASON]}…"
    return StepFailedError(f"{opening} {said}: {reasons}", code=code)
