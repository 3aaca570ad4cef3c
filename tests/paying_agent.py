"""The DummyAgent as one that costs something: for tests of processes, offered to them by `offer_agent`."""

import json
import os
from functools import partial

from aicd_core.agents.dummy import DummyAgent
from aicd_core.contracts import (
    AgentSession,
    Change,
    Evidence,
    Feedback,
    ModelRequest,
    Plan,
    Review,
    ReviewFinding,
    ReviewVerdict,
    Task,
    Workspace,
)
from aicd_core.testing.paid_model import ask

NAME = "paying"
AGENT = f"{__name__}:PayingAgent"
MODEL = "TEST_PAID_MODEL"
"""The environment's name for the address of the model that is paid."""
FINDINGS = 51
"""Of a review that has a person decide: one more than GitHub takes at once."""


class PayingAgent(DummyAgent):
    """Pays for one call in each step; has a person decide whatever is wide, with a finding for each of 51 lines."""

    async def plan(self, task: Task, errors: tuple[str, ...], workspace: Workspace, session: AgentSession) -> Plan:
        await _think(session, task, "plan", len(errors))
        return await super().plan(task, errors, workspace, session)

    async def code(
        self, task: Task, plan: Plan, feedback: Feedback | None, workspace: Workspace, session: AgentSession
    ) -> Change:
        await _think(session, task, "code", feedback.round if feedback else 0)
        return await super().code(task, plan, feedback, workspace, session)

    async def review(self, task: Task, plan: Plan, evidence: Evidence, session: AgentSession) -> Review:
        await _think(session, task, "review", evidence.round)
        if b"wide" not in evidence.change_set.patch:
            return await super().review(task, plan, evidence, session)
        found = (
            ReviewFinding(id=f"f{line}", severity="low", path="greet.txt", line=line, message=f"Wide, {line}.")
            for line in range(1, FINDINGS + 1)
        )
        return Review(verdict=ReviewVerdict.ESCALATE, findings=tuple(found))


async def _think(session: AgentSession, task: Task, step: str, number: int) -> None:
    content = json.dumps({"job": task.job_id, "step": step, "number": number}).encode()
    await session.journal.call(ModelRequest(model="paid", content=content), partial(ask, os.environ[MODEL], content))
