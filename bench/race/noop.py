"""A code host, a work tree and an agent that do nothing, in process: no git, no sandbox, no model."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from types import MappingProxyType
from typing import Any

from aicd_core.contracts import (
    Base,
    ChangeSet,
    CodeHost,
    CommitRequest,
    Confirm,
    Denial,
    FileChange,
    FileOp,
    HostFeedback,
    Phase,
    PullRequest,
    PullRequestDraft,
    always,
)
from aicd_core.ids import JobId
from aicd_core.jobs.machine import JobEvent, JobState
from aicd_core.orchestrator.engine import Step
from aicd_core.orchestrator.steps.context import StepContext, StepResult
from aicd_core.tenancy import Tenant
from aicd_core.testing.agents import ScriptedAgent, plan_for
from race.spec import SHA

PATH = "new.txt"
CONFIG = b"version: 1\ntests: []\n"
PATCH = f"""diff --git a/{PATH} b/{PATH}
new file mode 100644
index {"0" * 40}..{"b" * 40}
--- /dev/null
+++ b/{PATH}
@@ -0,0 +1,2 @@
+One line.
+Another line.
""".encode()
CHANGE = ChangeSet(
    base_sha=SHA,
    tree_sha="c" * 40,
    files=(FileChange(path=PATH, op=FileOp.CREATE, new_mode="100644", added_lines=2, new_size=24),),
    patch=PATCH,
)


class NoCheckout:
    """A `Checkout` of nothing, always with the same change in it."""

    @property
    def workspace(self) -> Any:
        return None

    async def restore(self, change_set: ChangeSet | None) -> None: ...

    async def capture(self, planned: Collection[str], on_taken: Callable[[], None] = lambda: None) -> ChangeSet:
        on_taken()
        return CHANGE

    async def paths_at_base(self) -> frozenset[str]:
        return frozenset({".aicd.yml", "old.txt"})

    async def read_at_base(self, path: str) -> bytes | None:
        return CONFIG

    @property
    def denials(self) -> tuple[Denial, ...]:
        return ()

    async def enter(self, phase: Phase, hosts: Sequence[str], refused: Sequence[str] = ()) -> None: ...

    async def keep_cache(self) -> None: ...

    async def close_sandbox(self) -> None: ...

    async def commit(self, request: CommitRequest) -> str:
        return "d" * 40


class NoHost:
    """A `CodeHost` that keeps nothing, and the `CodeHosts` that finds it."""

    def at(self, source: str, tenant: Tenant | None = None) -> CodeHost:
        return self

    async def resolve_base(self, branch: str | None) -> Base:
        return Base(branch=branch or "main", sha=SHA)

    def hold(self, job_id: JobId) -> AbstractAsyncContextManager[object]:
        return nullcontext()

    async def open(self, job_id: JobId, base_sha: str) -> NoCheckout:
        return NoCheckout()

    async def publish(
        self,
        job_id: JobId,
        checkout: object,
        head_sha: str,
        base: Base,
        draft: PullRequestDraft,
        confirm: Confirm = always,
    ) -> PullRequest:
        return PullRequest(
            url="https://example.invalid/1",
            number=1,
            draft=draft.draft,
            branch=f"aicd/{job_id}",
            head_sha=head_sha,
            base_branch=base.branch,
        )

    async def report(self, job_id: JobId, issue: int, text: str) -> None: ...

    async def read_feedback(self, job_id: JobId) -> HostFeedback:
        return HostFeedback()

    async def answer(self, job_id: JobId, thread: int, text: str) -> None: ...

    async def withdraw(self, job_id: JobId) -> None: ...

    async def close(self, job_id: JobId) -> None: ...


async def _nothing(*_: object) -> None: ...


def agent() -> ScriptedAgent:
    """Answers at once: a plan of one file, that change, an approval."""
    return ScriptedAgent(plans=[lambda task: plan_for(task.base_sha, PATH)], codes=[_nothing])


def _answers(event: JobEvent) -> Step:
    async def step(_: StepContext) -> StepResult:
        return StepResult(event)

    return step


NO_STEPS: Mapping[JobState, Step] = MappingProxyType(
    {
        JobState.PLANNING: _answers(JobEvent.PLAN_READY),
        JobState.CODING: _answers(JobEvent.CODED),
        JobState.REVIEWING: _answers(JobEvent.PUBLISHED),
    }
)
"""Steps that find their work done."""
