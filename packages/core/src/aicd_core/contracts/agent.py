"""The plug-in that thinks: everything an agent author implements or is given."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from aicd_core.contracts.change import Change
from aicd_core.contracts.evidence import Evidence, Feedback
from aicd_core.contracts.journal import Journal
from aicd_core.contracts.plan import Plan
from aicd_core.contracts.review import Review
from aicd_core.contracts.task import Task
from aicd_core.contracts.usage import Usage
from aicd_core.contracts.values import Value
from aicd_core.contracts.workspace import Workspace


class Left(Value):
    """What a step may still use: seconds until its deadline, micro-USD of the tightest budget; None is no budget."""

    seconds: float
    micro_usd: int | None = None


class AgentSession(Protocol):
    """What the Body lends an agent for one step."""

    @property
    def cancelled(self) -> bool:
        """True once the job is to stop; a long loop looks at it between two actions."""
        ...

    @property
    def journal(self) -> Journal:
        """Every call of a model goes through it: its reply is kept before it is used."""
        ...

    @property
    def history(self) -> tuple[bytes, ...]:
        """What this round's checkpoints kept, oldest first; empty on a fresh round, and outside of coding.

        When it is not empty, the tree is as it was at the last checkpoint, and the calls made before it are not to be
        made again.
        """
        ...

    @property
    def cache(self) -> Path:
        """A folder on this machine for what can be made anew, such as an index; it may be absent, or go at any time.

        All jobs of one repository in one organization share it, at once even; no other job is ever given it.
        """
        ...

    @property
    def left(self) -> Left:
        """What was left when the last call was sent. It differs from run to run: what is made of it, is to be kept."""
        ...

    def checkpoint(self, history: bytes, on_taken: Callable[[], None] = ...) -> Awaitable[None]:
        """Keeps how far coding came: the tree as it is now, and what was added to the message history since the last.

        A round that starts over, on this or another machine, goes on from there. Made after each action that changed
        the tree, between two calls of the model. New files that the repository ignores are not kept unless planned.

        Which calls come before it is settled when this is called; so the next call may be made while it is awaited,
        if only the tree is left alone until it was taken, and the checkpoint has ended before the round has. A crash
        before its end goes on from the checkpoint before.

        Args:
            on_taken: called when the tree has been read, and may be changed again while the checkpoint is stored.

        Raises:
            InvalidInputError: code `no_checkpoint_here`: the step is not coding; `call_under_way`: a call of the model
                has no reply yet.
            StepFailedError: the tree holds what can never be committed, as when a round is captured.
            ConflictError: code `lease_lost`: another worker has the job; nothing was kept.
        """
        ...

    def emit(self, message: str) -> None:
        """Shows one line of progress to whoever watches the job."""
        ...

    def spend(self, usage: Usage) -> None:
        """Puts a cost on the job's ledger that did not come with a reply of the journal."""
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
