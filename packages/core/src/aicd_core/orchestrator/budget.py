"""Limits on what a job, and an organization in a month, may cost: reached, a job pauses before its next step."""

from aicd_core.contracts import MICRO_USD
from aicd_core.db.database import Database
from aicd_core.jobs.leases.values import Terms
from aicd_core.jobs.machine import JobEvent
from aicd_core.jobs.values import JobView
from aicd_core.orchestrator.patience import patiently
from aicd_core.orchestrator.steps.context import StepResult
from aicd_core.tenancy import Tenant
from aicd_core.usage import repository as ledger


async def over_budget(database: Database, terms: Terms, job: JobView, patience: float) -> StepResult | None:
    """Why the job may not spend more, or None. Asks the ledger only where there is a limit.

    Args:
        patience: seconds for which it is asked again while Postgres is away.
    """
    if job.cost_limit is None and terms.monthly_budget is None:
        return None
    spent, of_month = await patiently(lambda: _spent(database, job), patience)
    if job.cost_limit is not None and spent >= job.cost_limit:
        return _paused(
            "job_budget",
            f"The job has cost {_usd(spent)}, and its budget is {_usd(job.cost_limit)}. Raise it: "
            f"aicd resume {job.id} --budget USD",
        )
    if terms.monthly_budget is not None and of_month >= terms.monthly_budget:
        return _paused(
            "monthly_budget",
            f"The organization has spent {_usd(of_month)} this month, and its budget is {_usd(terms.monthly_budget)}. "
            f"Raise it, or wait for the next month; then: aicd resume {job.id}",
        )
    return None


async def _spent(database: Database, job: JobView) -> tuple[int, int]:
    """What the job, and its organization this month, have cost, in micro-USD."""
    tenant = Tenant(job.org_id)
    async with database.read(tenant) as session:
        of_job, of_month = await ledger.total(session, tenant, job.id), await ledger.total_of_month(session, tenant)
    return of_job.cost_micro_usd, of_month.cost_micro_usd


def _paused(code: str, reason: str) -> StepResult:
    return StepResult(JobEvent.LIMIT_REACHED, code, reason)


def _usd(micro: int) -> str:
    return f"{micro / MICRO_USD:.2f} USD"
