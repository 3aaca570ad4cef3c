"""The plug-in that thinks: everything an agent author implements or is given."""

from typing import Protocol

from aicd_core.contracts.change import Change
from aicd_core.contracts.evidence import Evidence
from aicd_core.contracts.plan import Plan
from aicd_core.contracts.review import Feedback, Review
from aicd_core.contracts.task import Task
from aicd_core.contracts.usage import Usage
from aicd_core.contracts.workspace import Workspace


class AgentSession(Protocol):
    """What the Body lends an agent for one step."""

    @property
    def cancelled(self) -> bool:
        """True once the job is to stop; a long loop looks at it between two actions."""
        ...

    def emit(self, message: str) -> None:
        """Shows one line of progress to whoever watches the job."""
        ...

    def spend(self, usage: Usage) -> None:
        """Puts what a call cost on the job's ledger."""
        ...


class Agent(Protocol):
    """Plans, codes and reviews. It holds no credential and no state between calls.

    Any method may raise `StepFailedError`: the job then fails with its message as the reason.
    """

    async def plan(self, task: Task, errors: tuple[str, ...], workspace: Workspace, session: AgentSession) -> Plan:
        """A plan for the task. `errors` are the numbered faults of the plan returned before, if any."""
        ...

    async def code(
        self, task: Task, plan: Plan, feedback: Feedback | None, workspace: Workspace, session: AgentSession
    ) -> Change:
        """Changes the tree. `feedback` is None in round 1; later it tells why round `feedback.round` fell."""
        ...

    async def review(self, task: Task, plan: Plan, evidence: Evidence, session: AgentSession) -> Review:
        """Judges one round by what the platform measured, never by what the coder claims."""
        ...
