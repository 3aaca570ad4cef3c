"""Limits on what a job, and an organization in a month, may cost: reached, a job pauses before it spends more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aicd_core.contracts import MICRO_USD
from aicd_core.db.database import Database
from aicd_core.errors import LimitReachedError
from aicd_core.jobs.leases.values import Terms
from aicd_core.jobs.machine import JobEvent
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator.steps.context import StepResult
from aicd_core.tenancy import Tenant
from aicd_core.usage import repository as ledger


@dataclass(frozen=True)
class _Limit:
    """One budget: of what, how much of it is spent, and the way out, in micro-USD."""

    code: str
    who: str
    spent: int
    most: int
    remedy: str

    def left(self, reserved: int) -> int:
        return self.most - self.spent - reserved


@dataclass
class Allowance:
    """What one step of a job may still spend. Asks the ledger only where there is a limit.

    `left` is the least that was left of a budget when the last call was to be sent; None before that, and where there
    is no budget. What other jobs of the organization have under way is not seen here: a month's budget can be passed by
    the worst cases of their calls.
    """

    database: Database
    terms: Terms
    job: JobView
    left: int | None = None
    _reserved: int = 0
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def reserve(self, worst_case: int) -> AsyncIterator[None]:
        """Holds the worst case of a call, in micro-USD, back from the budgets until its cost is on the ledger.

        Raises:
            LimitReachedError: code `job_budget` or `monthly_budget`: there is not so much left of one.
        """
        async with self._one_at_a_time:
            limits = await _limits(self.database, self.terms, self.job)
            for limit in limits:
                if limit.left(self._reserved) < worst_case:
                    raise LimitReachedError(_too_little(limit, worst_case, self._reserved), code=limit.code)
            self._reserved += worst_case
            self.left = min((limit.left(self._reserved) for limit in limits), default=None)
        try:
            yield
        finally:
            self._reserved -= worst_case


async def over_budget(database: Database, terms: Terms, job: JobView) -> StepResult | None:
    """Why the job may not spend more, or None. Asks the ledger only where there is a limit."""
    for limit in await _limits(database, terms, job):
        if limit.left(0) <= 0:
            reason = f"{limit.who} {_usd(limit.spent)}, and its budget is {_usd(limit.most)}. {limit.remedy}"
            return StepResult(JobEvent.LIMIT_REACHED, limit.code, reason)
    return None


async def _limits(database: Database, terms: Terms, job: JobView) -> list[_Limit]:
    """Every budget that binds the job, with what is spent of it by now."""
    if job.cost_limit is None and terms.monthly_budget is None:
        return []
    tenant = Tenant(job.org_id)
    async with database.read(tenant) as session:
        spent = (await ledger.total(session, tenant, job.id)).cost_micro_usd
        of_month = (await ledger.total_of_month(session, tenant)).cost_micro_usd
    found = []
    if job.cost_limit is not None:
        remedy = f"Raise it: aicd resume {job.id} --budget USD"
        found.append(_Limit("job_budget", "The job has cost", spent, job.cost_limit, remedy))
    if terms.monthly_budget is not None:
        remedy = f"Raise it, or wait for the next month; then: aicd resume {job.id}"
        who = "The organization has, this month, spent"
        found.append(_Limit("monthly_budget", who, of_month, terms.monthly_budget, remedy))
    return found


def _too_little(limit: _Limit, worst_case: int, reserved: int) -> str:
    under_way = f" {_usd(reserved)} more may be spent by calls under way." if reserved else ""
    return (
        f"{limit.who} {_usd(limit.spent)} of its budget of {_usd(limit.most)}.{under_way} The next call of the model "
        f"may cost up to {_usd(worst_case)}, which does not fit. {limit.remedy}"
    )


def _usd(micro: int) -> str:
    return f"{micro / MICRO_USD:.2f} USD"
