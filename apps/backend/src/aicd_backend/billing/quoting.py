"""What carrying out a job's plan is about to cost: pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from aicd_backend.billing.plans import PULL_REQUESTS, Plan
from aicd_backend.billing.spending.values import MeterSum
from aicd_core.contracts import MICRO_USD


@dataclass(frozen=True)
class Quote:
    """A price in micro-USD. Not an estimate where there is one price whatever the work."""

    micro_usd: int
    is_estimate: bool


def price_of(plan: Plan, estimate_usd: float, opened: int, charged: Sequence[MeterSum], on_trial: bool) -> Quote:
    """What is still to be paid for a job, before credit.

    Args:
        plan: by which the organization pays.
        estimate_usd: what the planner thinks that the models will cost; with the margin it is the price of tokens.
        opened: pull requests of the month that have their charge.
        charged: of this job: one whose pull request has its charge pays for no other.
    """
    if on_trial:
        return Quote(0, is_estimate=False)
    fixed, terms = 0, plan.pull_requests
    is_charged = any(one.meter == PULL_REQUESTS for one in charged)
    if terms is not None and terms.price_micro_usd is not None and opened >= terms.included and not is_charged:
        fixed = terms.price_micro_usd
    if not plan.tokens:
        return Quote(fixed, is_estimate=False)
    return Quote(fixed + round(estimate_usd * MICRO_USD) * (100 + plan.margin_percent) // 100, is_estimate=True)
