"""Limits on what jobs, issues, repositories and organizations may cost: at one, a job pauses before it spends more.

What calls under way can cost is held back in the database, so that jobs at once cannot pass a limit together.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from aicd_core.contracts import MICRO_USD
from aicd_core.errors import LimitReachedError
from aicd_core.ids import JobId
from aicd_core.jobs.machine import JobEvent
from aicd_core.orchestrator.steps.context import StepResult
from aicd_core.usage.budgets.values import Budget, Scope

MONTHLY = frozenset({Scope.REPOSITORY, Scope.ORGANIZATION})


@dataclass(frozen=True)
class _Words:
    """How a reached limit is told: its code, who spent, and the option of `aicd org limits` that raises it."""

    code: str
    who: str
    option: str


WORDS: Mapping[Scope, _Words] = MappingProxyType(
    {
        Scope.JOB: _Words("job_budget", "The job has cost", "--job"),
        Scope.ISSUE: _Words("issue_budget", "The jobs of this issue have, together, cost", "--issue"),
        Scope.REPOSITORY: _Words("repository_budget", "The repository has, this month, spent", "--repository"),
        Scope.ORGANIZATION: _Words("monthly_budget", "The organization has, this month, spent", "--month"),
    }
)


SPENDING_CAP = "spending_cap"
"""The code where what the organization pays would come to its cap."""

LIMIT_CODES: Mapping[Scope, str] = MappingProxyType({scope: words.code for scope, words in WORDS.items()})
"""The codes of jobs that paused at a budget."""


class Purse(Protocol):
    """Where budgets are kept; `Records` says what each does."""

    cost_booked: bool

    async def budgets(self) -> list[Budget]: ...

    async def reserve(self, entry_key: str, micro_usd: int, under_way: tuple[str, ...]) -> list[Budget]: ...


@dataclass
class Allowance:
    """What one step of a job may still spend.

    `left` is the least that was left of a budget when the last call was to be sent; None before that, and where there
    is no budget.
    """

    purse: Purse
    job_id: JobId
    left: int | None = None
    _under_way: set[str] = field(default_factory=set)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def reserve(self, entry_key: str, worst_case: int) -> AsyncIterator[None]:
        """Holds the worst case of a call, in micro-USD, back from the budgets until its cost is on the ledger.

        What a call held back that came to nothing is free with the job's next call, or when the lease ends, before
        which the step has booked what such calls did cost.

        Raises:
            LimitReachedError: there is not so much left of a budget; the code says of which.
            LeaseLostError: another worker has the job.
        """
        async with self._one_at_a_time:
            found = await self.purse.reserve(entry_key, worst_case, tuple(self._under_way))
            for budget in found:
                if not budget.fits:
                    raise LimitReachedError(_too_little(budget, worst_case, self.job_id), code=_code(budget))
            left = (budget.left(worst_case) for budget in found)
            self.left = min((amount for amount in left if amount is not None), default=None)
            self._under_way.add(entry_key)
        try:
            yield
        finally:
            self._under_way.discard(entry_key)


async def over_budget(purse: Purse, job_id: JobId) -> StepResult | None:
    """Why the job may not begin another step, or None.

    The database is asked before the first step under a lease, where a budget bound the job when it was taken, and after
    a step that booked cost. What an owner lowers or another job spends between two steps that cost nothing is found out
    where it matters: every call of a model reserves first, against limits and sums as they then are, and is refused. So
    at most one step can spend past such a change, and only what its agent spends past the journal
    (`AgentSession.spend`); the job pauses after it.
    """
    if not purse.cost_booked:
        return None
    for budget in await purse.budgets():
        if budget.most is not None and budget.spent >= budget.most:
            return StepResult(JobEvent.LIMIT_REACHED, _code(budget), _used_up(budget, job_id))
    return None


def _is_cap(budget: Budget) -> bool:
    return budget.own and budget.scope is Scope.ORGANIZATION


def _code(budget: Budget) -> str:
    return SPENDING_CAP if _is_cap(budget) else WORDS[budget.scope].code


def _used_up(budget: Budget, job_id: JobId) -> str:
    return f"{_spent(budget)}, and its budget is {_usd(budget.most)}. {_remedy(budget, job_id)}"


def _too_little(budget: Budget, worst_case: int, job_id: JobId) -> str:
    under_way = f" {_usd(budget.held)} more may be spent by calls under way." if budget.held else ""
    return (
        f"{_spent(budget)} of its budget of {_usd(budget.most)}.{under_way} The next call of the model may cost up to "
        f"{_usd(worst_case)}, which does not fit. {_remedy(budget, job_id)}"
    )


def _spent(budget: Budget) -> str:
    return f"{WORDS[budget.scope].who} {_usd(budget.spent)}"


def _remedy(budget: Budget, job_id: JobId) -> str:
    if _is_cap(budget):
        return (
            "That is all that the cap on what the organization pays leaves for this month. Raise the cap in its "
            "billing, or wait for the next month; its jobs then go on by themselves."
        )
    if budget.scope is Scope.JOB:
        return f"Raise it: aicd resume {job_id} --budget USD"
    repo = f" --repo {budget.source}" if budget.own else ""
    wait = ", or wait for the next month" if budget.scope in MONTHLY else ""
    option = WORDS[budget.scope].option
    return f"Raise it: aicd org limits --org {budget.organization}{repo} {option} USD{wait}; then: aicd resume {job_id}"


def _usd(micro: int | None) -> str:
    return f"{(micro or 0) / MICRO_USD:.2f} USD"
