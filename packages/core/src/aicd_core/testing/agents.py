"""Agents for tests: one whose every answer is given beforehand."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from aicd_core.contracts import (
    AcceptanceCriterion,
    AgentSession,
    Change,
    Estimate,
    Evidence,
    Feedback,
    Plan,
    PlannedFile,
    PlannedOp,
    PlanStep,
    Review,
    ReviewVerdict,
    Risk,
    Task,
    Workspace,
)

ItemT = TypeVar("ItemT")
Code = Callable[[Workspace, AgentSession], Awaitable[None]]
APPROVED = Review(verdict=ReviewVerdict.APPROVE)


def plan_for(base_sha: str, *paths: str, op: PlannedOp = PlannedOp.CREATE) -> Plan:
    """A valid plan of one step that touches the paths."""
    return Plan(
        base_sha=base_sha,
        problem="A problem.",
        acceptance_criteria=(AcceptanceCriterion(id="done", text="It is done.", verify="Look."),),
        steps=(
            PlanStep(
                id="step", goal="Do it.", files=tuple(PlannedFile(path=p, op=op) for p in paths), criteria=("done",)
            ),
        ),
        risk=Risk(level="low"),
        estimate=Estimate(steps=1, usd=0),
    )


@dataclass
class ScriptedAgent:
    """Answers each call with the next item of its script, the last one again and again; keeps what it was asked."""

    plans: list[Callable[[Task], Plan]]
    codes: list[Code]
    reviews: list[Review] = field(default_factory=lambda: [APPROVED])
    plan_errors: list[tuple[str, ...]] = field(default_factory=list)
    feedbacks: list[Feedback | None] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)

    async def plan(self, task: Task, errors: tuple[str, ...], workspace: Workspace, session: AgentSession) -> Plan:
        self.plan_errors.append(errors)
        return _nth(self.plans, len(self.plan_errors))(task)

    async def code(
        self, task: Task, plan: Plan, feedback: Feedback | None, workspace: Workspace, session: AgentSession
    ) -> Change:
        self.feedbacks.append(feedback)
        await _nth(self.codes, len(self.feedbacks))(workspace, session)
        return Change(summary=f"Change number {len(self.feedbacks)}.")

    async def review(self, task: Task, plan: Plan, evidence: Evidence, session: AgentSession) -> Review:
        self.evidence.append(evidence)
        return _nth(self.reviews, len(self.evidence))


def _nth(items: list[ItemT], number: int) -> ItemT:
    return items[min(number, len(items)) - 1]
