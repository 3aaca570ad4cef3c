"""What approving a plan costs, for the command line (`aicd_cli.prices`)."""

from datetime import UTC, datetime
from pathlib import Path

from aicd_backend.billing.offering import offer
from aicd_backend.billing.plans import Plans
from aicd_backend.settings import BackendSettings
from aicd_cli.prices import Price
from aicd_cli.runtime import Store
from aicd_core.contracts import MICRO_USD
from aicd_core.orchestrator import JobReport


async def ask_price(data_dir: Path | None, store: Store, report: JobReport) -> Price | None:
    """An `AskPrice`: by the plan that the organization is on; None where billing is off.

    Raises:
        InvalidInputError: settings or the plans file are wrong.
    """
    settings = BackendSettings.load(data_dir=data_dir)
    if settings.stripe_key is None or report.plan is None:
        return None
    job, spent = report.job, report.usage.cost_micro_usd
    left = None if job.cost_limit is None else max(job.cost_limit - spent, 0) / MICRO_USD
    costs = (report.plan.estimate.usd, left)
    async with store.database.read(store.tenant) as session:
        plans = Plans.load(settings.billing_plans)
        found = await offer(session, store.tenant, job.id, plans, costs, datetime.now(UTC))
    most = found.most.micro_usd if found.most and found.quote.is_estimate else None
    return Price(found.quote.micro_usd, found.quote.is_estimate, most)
