"""An agent for tests that pays a `PaidModel` for every thought, and says in the tree what it paid for.

The issue is its script, so that many jobs with different ones can run at once, in any process:
`journaled_issue(url, …)` writes it.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import partial

from aicd_core.contracts import (
    AgentSession,
    Change,
    Evidence,
    Feedback,
    ModelReply,
    ModelRequest,
    Plan,
    Review,
    ReviewFinding,
    ReviewVerdict,
    Task,
    Workspace,
)
from aicd_core.errors import NotFoundError, UnavailableError
from aicd_core.testing.agents import plan_for
from aicd_core.testing.paid_model import ask

NAME = "journaled"
AGENT = f"{__name__}:JournaledAgent"
"""What to offer: `offer_agent(folder, NAME, AGENT)`."""
DIARY = "diary.txt"
"""One line for each turn: round, turn, the number of the paid call, its answer."""


@dataclass(frozen=True)
class Script:
    """What a job's agent does: `turns` calls in each round of coding, `rejections` reviews that reject.

    `command` is run in the sandbox in each turn, after the diary's line was written.
    """

    model: str
    turns: int = 3
    rejections: int = 0
    command: str | None = None


def journaled_issue(title: str, script: Script) -> str:
    """The text of an issue with the script in it."""
    return f"{title}\n\n{json.dumps(asdict(script))}\n"


class JournaledAgent:
    """An `Agent`. A plan costs one call, each round of coding `turns`, each review one."""

    async def plan(self, task: Task, errors: tuple[str, ...], workspace: Workspace, session: AgentSession) -> Plan:
        reply = await _think(task, session, {"plan": list(errors)})
        return plan_for(task.base_sha, DIARY).model_copy(update={"problem": reply.content.decode()})

    async def code(
        self, task: Task, plan: Plan, feedback: Feedback | None, workspace: Workspace, session: AgentSession
    ) -> Change:
        number, script = feedback.round + 1 if feedback else 1, _script(task)
        for turn in range(len(session.history), script.turns):
            past = hashlib.sha256(b"\n".join(session.history)).hexdigest()
            reply = await _think(task, session, {"code": number, "turn": turn, "past": past})
            line = f"{number} {turn} ".encode() + reply.content + b"\n"
            await workspace.write(DIARY, await _diary(workspace) + line)
            if script.command:
                await workspace.run(script.command)
            await session.checkpoint(line)
        return Change(summary=f"Wrote {script.turns} lines.")

    async def review(self, task: Task, plan: Plan, evidence: Evidence, session: AgentSession) -> Review:
        reply = await _think(task, session, {"review": evidence.round, "tree": evidence.change_set.tree_sha})
        if evidence.round <= _script(task).rejections:
            finding = ReviewFinding(id=f"r{evidence.round}", severity="low", message=reply.content.decode())
            return Review(verdict=ReviewVerdict.REJECT, findings=(finding,))
        return Review(verdict=ReviewVerdict.APPROVE)


def _script(task: Task) -> Script:
    return Script(**json.loads(task.body.splitlines()[-1]))


async def _think(task: Task, session: AgentSession, thought: dict[str, object]) -> ModelReply:
    content = json.dumps({"job": task.job_id, **thought}, sort_keys=True).encode()
    try:
        return await session.journal.call(
            ModelRequest(model="paid", content=content), partial(ask, _script(task).model, content)
        )
    except ConnectionError as error:
        raise UnavailableError(f"{error} It is asked again later.", code="model_unavailable") from error


async def _diary(workspace: Workspace) -> bytes:
    try:
        return await workspace.read(DIARY)
    except NotFoundError:
        return b""
