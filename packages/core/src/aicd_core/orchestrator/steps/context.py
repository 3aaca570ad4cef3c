"""What a step works with and what it gives back."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from aicd_core.contracts import Agent, Base, Checkout, CodedChange, CodeHost, OutsideFeedback, Plan, Task, Usage
from aicd_core.contracts.config import RepositoryConfig
from aicd_core.contracts.sandbox import Phase
from aicd_core.contracts.values import Value
from aicd_core.errors import InvalidInputError, StepFailedError
from aicd_core.jobs.leases.values import Terms
from aicd_core.jobs.machine import JobEvent, JobState, JobStatus
from aicd_core.jobs.models import ArtifactKind
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator.asked import Asked, asked_of
from aicd_core.orchestrator.checkpoints import Checkpoints
from aicd_core.orchestrator.journal import Replies
from aicd_core.orchestrator.progress import Message, Observer
from aicd_core.orchestrator.records import NOTHING, Books
from aicd_core.orchestrator.session import StepSession
from aicd_core.policy import Network, Rules, bounded, effective_rules
from aicd_core.settings import Settings

ValueT = TypeVar("ValueT", bound=Value)


@dataclass(frozen=True)
class StepResult:
    """What happened; `code` and `reason` say why where that is not plain, `detail` what else goes on the record."""

    event: JobEvent
    code: str | None = None
    reason: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


class StepRecords(Replies, Checkpoints, Protocol):
    """What a step reads and keeps; `Records` says what each does."""

    async def load(self, kind: ArtifactKind, model: type[ValueT], number: int) -> ValueT | None: ...

    async def keep(self, kind: ArtifactKind, number: int, value: ValueT, usage: Usage = NOTHING) -> ValueT: ...

    async def asks_approval(self) -> bool: ...

    async def usage(self) -> Usage: ...

    async def books(self) -> Books: ...

    async def comments(self, attempt: int) -> tuple[str, ...]: ...

    async def organization_rules(self) -> Rules: ...


@dataclass(frozen=True)
class StepContext:
    """One step of one job under a held lease. The agent gets `session` and the checkout's workspace only.

    `source` is where the job's repository is.
    `confirm` makes sure that the lease is still held; it is asked before something outside is changed.
    `outside` is the feedback on the pull request that this round is about, once there was any.
    """

    job: JobView
    source: str
    terms: Terms
    agent: Agent
    host: CodeHost
    checkout: Checkout
    records: StepRecords
    session: StepSession
    settings: Settings
    observe: Observer
    confirm: Callable[[], Awaitable[None]]
    outside: OutsideFeedback | None = None

    @property
    def base(self) -> Base:
        """What the change is measured from, and is to be merged into."""
        return Base(branch=self.job.base_branch, sha=self.outside.start_sha if self.outside else self.job.base_sha)

    async def coded(self, number: int) -> CodedChange | None:
        """The change of a round, if it was measured from where this one is."""
        found = await self.records.load(ArtifactKind.CHANGE, CodedChange, number)
        return found if found is not None and found.change_set.base_sha == self.base.sha else None

    def say(self, text: str) -> None:
        """Shows one line to whoever watches."""
        self.observe(Message(self.job.id, text))

    async def config(self) -> RepositoryConfig:
        """The repository's configuration as planning stored it."""
        found = await self.records.load(ArtifactKind.CONFIG, RepositoryConfig, 0)
        assert found is not None, "planning stores the configuration first"
        return found

    async def rules(self, config: RepositoryConfig) -> Rules:
        """The organisation's rules, tightened by the repository's.

        Raises:
            StepFailedError: the organisation's policy cannot be read, or the repository asks for less than it.
        """
        try:
            return effective_rules(await self.records.organization_rules(), config.policy)
        except InvalidInputError as error:
            raise StepFailedError(error.message, code=error.code) from error

    async def enter(self, phase: Phase, config: RepositoryConfig) -> Network:
        """Opens the way out for the commands of a phase: to the repository's hosts, as far as its organisation lets it.

        Raises:
            StepFailedError: as `rules`.
        """
        asked = config.network.setup if phase is Phase.SETUP else config.network.coding
        network = bounded(asked, (await self.rules(config)).allowed_hosts)
        await self.checkout.enter(phase, network.hosts, network.refused)
        return network

    async def plan(self) -> Plan:
        """The plan that was accepted."""
        found = await self.records.load(ArtifactKind.PLAN, Plan, self.job.status.plan_attempts)
        assert found is not None, "a job leaves planning only with a stored plan"
        return found

    async def task(self) -> Task:
        """The task as the agent sees it."""
        return (await self.asked()).task

    async def asked(self) -> Asked:
        """The task, and what of the issue the agent does not see."""
        return await asked_of(self.job, (await self.config()).tests or ())


def step_name(status: JobStatus) -> str:
    """What a step is called in the journal; there is one for each state in which an agent is asked.

    Raises:
        KeyError: no agent is asked in this state.
    """
    names = {
        JobState.PLANNING: f"plan/{status.plan_attempts}",
        JobState.CODING: f"code/{status.round}",
        JobState.REVIEWING: f"review/{status.round}",
    }
    return names[status.state]


def failed(error: StepFailedError) -> StepResult:
    """The result of a step that cannot succeed."""
    return StepResult(JobEvent.FAILED, error.code, error.message)
