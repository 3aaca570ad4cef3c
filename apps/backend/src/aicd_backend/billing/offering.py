"""What a job's plan is about to cost its organization, from what is stored."""

from dataclasses import dataclass
from datetime import datetime

from aicd_backend.billing.accounts import repository as accounts
from aicd_backend.billing.plans import Plans
from aicd_backend.billing.quoting import Quote, price_of
from aicd_backend.billing.spending import repository as spending
from aicd_backend.billing.spending.values import micro_usd
from aicd_backend.billing.standings import month_begin
from aicd_core.db.sessions import ReadSession
from aicd_core.ids import JobId
from aicd_core.tenancy import Tenant


@dataclass(frozen=True)
class Offer:
    """The price by the planner's estimate and, where the models' cost is limited, by that; what was charged already."""

    quote: Quote
    most: Quote | None
    charged_micro_usd: int


async def offer(
    session: ReadSession, tenant: Tenant, job_id: JobId, plans: Plans, costs: tuple[float, float | None], now: datetime
) -> Offer:
    """What carrying out a job's plan costs by the plan that the organization pays by.

    Args:
        costs: in US dollars, what the models will cost as the planner thinks, and at most if that is limited.
    """
    account = await accounts.find_account(session, tenant)
    sums = await spending.sum_job(session, tenant, job_id)
    opened = await spending.count_charged(session, tenant, month_begin(now))
    on_trial = account is not None and account.trial_end is not None and now < account.trial_end
    plan = plans.of(account.plan if account else plans.default)
    quotes = [None if cost is None else price_of(plan, cost, opened, sums, on_trial) for cost in costs]
    assert quotes[0] is not None, "the planner's estimate is always there"
    return Offer(quotes[0], quotes[1], micro_usd(sum(one.pico_usd for one in sums)))
